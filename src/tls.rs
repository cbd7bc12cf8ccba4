//! One TLS implementation for all of the tool: rustls over ring.

/// Makes ring the process's provider; later calls change nothing.
pub fn use_ring() {
    let _already_set = rustls::crypto::ring::default_provider().install_default();
}
