"""Applications to try a server with: `hello` and `environ`."""
