#!/bin/sh
# An OCI image of an application, by Debian's own tools, without a daemon and without
# root: `container/image.sh WHEEL FOLDER IMAGE:TAG`.
#
# WHEEL is ours, for the Python of this machine's Debian; FOLDER holds `wsgi.py`, and
# wheels to install beside ours in `FOLDER/wheels`; IMAGE is a folder in the OCI layout.
# It needs mmdebstrap and umoci.
set -eu

[ $# -eq 3 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
fail() { echo "error: $1" >&2; exit 1; }
for tool in mmdebstrap umoci python3; do
    command -v "$tool" > /dev/null || fail "there is no \`$tool\`: apt-get install $tool"
done
wheel=$(realpath "$1")
app=$(realpath "$2")
image=$3
[ -f "$app/wsgi.py" ] || fail "there is no \`$app/wsgi.py\`"
version=$(basename "$wheel" | sed -n 's/.*-cp3\([0-9]*\)-.*\.whl$/3.\1/p')
[ "$version" ] || fail "\`$wheel\` is no wheel for a Python"
. /etc/os-release
epoch=${SOURCE_DATE_EPOCH:-$(date +%s)}
export SOURCE_DATE_EPOCH="$epoch"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# pip is only needed while the image is made: it travels with every Python.
pip=$(python3 -c 'import ensurepip, pathlib
print(next(pathlib.Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"), ""))')
[ "$pip" ] || pip=$(find /usr/share/python-wheels -name 'pip-*.whl' | head -n 1)
[ "$pip" ] || fail "there is no pip for python3: apt-get install python3-venv"
mkdir "$work/wheels"
cp "$wheel" "$work/wheels"
[ ! -d "$app/wheels" ] || cp "$app"/wheels/*.whl "$work/wheels"
cp "$pip" "$work/pip.whl"
tar -C "$work" -cf "$work/wheels.tar" wheels pip.whl

cat > "$work/fill" <<'FILL'
#!/bin/sh
# Called with the root folder, by whoever is root there.
set -eu
cd "$1"
# Whose images these are need no manuals, no translations and no old character sets.
find usr/share/doc -type f ! -name copyright -delete
find usr/share/doc -type d -empty -delete
rm -rf usr/share/man usr/share/locale usr/share/info usr/share/lintian usr/share/bug \
    usr/share/perl5 usr/share/perl usr/lib/*/gconv usr/share/common-licenses/GFDL* \
    usr/lib/python3*/pydoc_data usr/lib/python3*/test usr/lib/python3*/lib2to3 \
    usr/lib/python3*/ensurepip usr/lib/python3*/idlelib
# No package does that here: none is configured.
echo 'root:x:0:0:root:/:/usr/sbin/nologin
app:x:10001:0:app:/srv/app:/usr/sbin/nologin' > etc/passwd
echo 'root:x:0:
app:x:10001:' > etc/group
cat usr/share/ca-certificates/mozilla/*.crt > etc/ssl/certs/ca-certificates.crt
mkdir -p tmp srv/app
chmod 1777 tmp
# Any user may start it: OpenShift chooses one.
tar -C tmp -xf -
chroot . "/usr/bin/python$2" -m venv --without-pip /srv/venv
PYTHONPATH=/tmp/pip.whl PYTHONHASHSEED=0 chroot . /srv/venv/bin/python -m pip \
    install --no-index --no-cache-dir --no-compile --find-links /tmp/wheels --no-deps \
    $(cd tmp && ls -d wheels/*.whl | sed 's,^,/tmp/,') >&2
rm -rf tmp/* var/lib/dpkg/info var/log/* var/cache/apt/* var/lib/apt/lists/*
FILL
chmod +x "$work/fill"

sources=/etc/apt/sources.list
[ -s "$sources" ] || sources=/etc/apt/sources.list.d/debian.sources
mmdebstrap --variant=extract \
    --include="base-files,libc6,libc-bin,libcrypt1,dash,coreutils,netbase,media-types,tzdata,ca-certificates,python$version-minimal,libpython$version-stdlib,libpython$version" \
    --extract-hook="$work/fill \"\$1\" $version < $work/wheels.tar" \
    "$VERSION_CODENAME" "$work/base.tar" "$sources"
tar -C "$app" --exclude=./wheels --sort=name --mtime="@$epoch" --owner=0 --group=0 \
    --numeric-owner --mode=a+rX,go-w --transform='s,^\.,srv/app,' -cf "$work/app.tar" .

layout=${image%:*}
[ -d "$layout" ] || umoci init --layout "$layout"
umoci new --image "$image"
umoci raw add-layer --image "$image" "$work/base.tar"
umoci raw add-layer --image "$image" "$work/app.tar"
umoci config --image "$image" \
    --created "$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)" \
    --config.user 10001:0 --config.workingdir /srv/app --config.exposedports 8000/tcp \
    --config.stopsignal SIGTERM \
    --config.env PATH=/srv/venv/bin:/usr/bin:/bin --config.env LANG=C.UTF-8 \
    --config.env PYTHONDONTWRITEBYTECODE=1 \
    --config.env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    --config.entrypoint mod_wsgi-express --config.entrypoint start-server \
    --config.entrypoint --log-to-terminal --config.entrypoint --port --config.entrypoint 8000 \
    --config.entrypoint --server-root --config.entrypoint /tmp/mod_wsgi \
    --config.entrypoint --health-url --config.entrypoint /healthz \
    --config.cmd wsgi.py
