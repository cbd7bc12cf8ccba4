#!/bin/sh
# Serves every test of `serving::` with a module that AddressSanitizer watches.
#
#   tests/sanitize.sh PREFIX [FILTER...]
#
# PREFIX is an installed httpd. The module is built with checks, and PREFIX's
# httpd is started through a wrapper that loads gcc's libasan first and gives
# Python no allocator of its own, so that its objects are watched as well. Tests
# that measure memory or time may fail here; what counts is the end: reports of
# the sanitizer, one file a process, and status 1 if there is any.
set -eu

prefix=$(cd "${1:?usage: tests/sanitize.sh PREFIX [FILTER...]}" && pwd -P)
shift
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}/sanitize
triple=$(rustc -vV | sed -n 's/^host: //p')

RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address MOD_WSGI_HTTPD_PREFIX=$prefix/current \
    cargo build --locked -p mod_wsgi -p pywsgi --target "$triple" --target-dir "$target"

mkdir -p "$target/modules" "$target/base/bin"
for name in mod_wsgi mod_wsgi_python; do
    cp "$target/$triple/debug/lib$name.so" "$target/modules/$name.so"
done
ln -sfn "$prefix/current" "$target/base/current"
rm -rf "$target/reports"
mkdir -m 777 "$target/reports"
: > "$target/reports/none"
# Leaks are not looked for: all that an interpreter keeps to its end would be one.
# A crash is reported although httpd has a handler of its own for it.
options='detect_leaks=0:allocator_may_return_null=1:handle_segv=2:handle_sigbus=2'
cat > "$target/base/bin/httpd" <<EOF
#!/bin/sh
export LD_PRELOAD='$(cc -print-file-name=libasan.so)' PYTHONMALLOC=malloc
export ASAN_OPTIONS='$options:log_path=$target/reports/asan'
exec '$prefix/bin/httpd' "\$@"
EOF
chmod 755 "$target/base/bin/httpd"

[ $# -gt 0 ] || set -- serving::
MOD_WSGI_HTTPD_BASE=$target/base MOD_WSGI_SO=$target/modules/mod_wsgi.so \
    cargo test --all-features --test installer -- "$@" || echo 'some tests failed' >&2

if grep -h -A 12 'ERROR: AddressSanitizer' "$target"/reports/* >&2; then
    echo "reports: $target/reports" >&2
    exit 1
fi
echo 'no report of the sanitizer'
