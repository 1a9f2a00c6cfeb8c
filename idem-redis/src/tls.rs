//! Which cryptography TLS is done with.

/// rustls stops the program at the first connection when it has to choose
/// between two providers that other dependencies have enabled. A program that
/// has chosen one keeps it.
pub(crate) fn choose_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
