//! Which cryptography TLS is done with, and whether the certificates are any.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::{SetupError, connect::Certificates};

/// rustls stops the program at the first connection when it has to choose
/// between two providers that other dependencies have enabled. A program that
/// has chosen one keeps it.
pub(crate) fn choose_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// The library underneath takes a file without certificates for a list of none.
pub(crate) fn check(certificates: &Certificates) -> Result<(), SetupError> {
    let refused = |reason: String| Err(SetupError::Certificates { reason });
    let client = certificates.client_tls.as_ref();
    let given = [
        ("root certificates", certificates.root_cert.as_ref()),
        (
            "client's certificate",
            client.map(|client| &client.client_cert),
        ),
    ];
    for (what, pem) in given {
        let Some(pem) = pem else { continue };
        match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
            Ok(found) if found.is_empty() => {
                return refused(format!("the {what} have no `-----BEGIN CERTIFICATE-----`"));
            }
            Ok(_) => {}
            Err(error) => return refused(format!("the {what} are no PEM: {error}")),
        }
    }
    match client.map(|client| PrivateKeyDer::from_pem_slice(&client.client_key)) {
        Some(Err(error)) => refused(format!("the client's private key is no PEM: {error}")),
        _ => Ok(()),
    }
}
