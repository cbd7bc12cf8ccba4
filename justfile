# Format, lints and the quick tests; under a minute once the tool is built.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cargo clippy --bins --no-default-features -- -D warnings
    cargo test --workspace --all-features -- --skip real::

# Everything, the real httpd included.
test:
    cargo test --workspace --all-features

# The real httpd alone.
real:
    cargo test --all-features --test installer real::

# Licences, advisories and sources of what we depend on.
deny:
    cargo deny check

# Side by side with mod_wsgi-httpd's own build; see benches/README.md.
bench:
    cargo bench --bench installer

# The pages that are made from records.
docs:
    MOD_WSGI_WRITE_DOCS=1 cargo test --test installer docs::

# What the tests serve, under AddressSanitizer; PREFIX is an installed httpd.
sanitize PREFIX:
    tests/sanitize.sh {{PREFIX}}

# The configurations that the launcher's tests keep.
golden:
    MOD_WSGI_WRITE_GOLDEN=1 cargo test --all-features --test installer express::golden

# An image that serves FOLDER/wsgi.py, made and run without root; it needs mmdebstrap,
# umoci and crun.
image WHEEL FOLDER:
    rm -rf target/image
    container/image.sh {{WHEEL}} {{FOLDER}} target/image:app
    container/run.sh target/image:app

# A wheel for each Python of the search path or of pyenv, each of them tried.
wheels:
    #!/bin/sh
    set -eu
    for version in 3.10 3.11 3.12 3.13; do
        python=
        for found in python$version "${PYENV_ROOT:-$HOME/.pyenv}"/versions/$version.*/bin/python$version; do
            $found -c '' 2> /dev/null && python=$found && break
        done
        [ "$python" ] || { echo "no python$version here"; continue; }
        rm -rf target/wheels/$version
        $python -m venv target/wheels/$version/venv
        venv=target/wheels/$version/venv/bin
        $venv/pip wheel -v --no-deps --wheel-dir target/wheels/$version .
        $venv/pip install --no-index target/wheels/$version/*.whl
        $venv/mod_wsgi-httpd verify
        $venv/mod_wsgi-express start-server --check --application-type module mod_wsgi.diagnostics.hello
    done
