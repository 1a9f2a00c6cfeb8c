//! Over TLS, with certificates of one's own.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{again, completed, recorded, told};
use idem_core::Store;
use idem_redis::{RedisStore, SetupError};
use idem_servers::Redis;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority, and what it has signed: for the server and for a client.
struct Certificates {
    root: String,
    client: (String, String),
    directory: TempDir,
}

fn certificates() -> Certificates {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "the tests' authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let signed = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &root).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let server = signed("localhost");
    let directory = tempfile::tempdir().unwrap();
    for (file, content) in [("ca", &root.pem()), ("crt", &server.0), ("key", &server.1)] {
        std::fs::write(directory.path().join(file), content).unwrap();
    }
    Certificates {
        root: root.pem(),
        client: signed("client"),
        directory,
    }
}

async fn server(certificates: &Certificates) -> (Redis, String) {
    let path = |file| {
        certificates
            .directory
            .path()
            .join(file)
            .display()
            .to_string()
    };
    let port = idem_servers::ports::free().to_string();
    let redis = Redis::start_with(&[
        ("tls-port", &port),
        ("tls-ca-cert-file", &path("ca")),
        ("tls-cert-file", &path("crt")),
        ("tls-key-file", &path("key")),
    ])
    .await;
    (redis, format!("rediss://localhost:{port}"))
}

#[tokio::test]
async fn both_sides_show_their_certificates() {
    let certificates = certificates();
    let (_redis, url) = server(&certificates).await;
    let (certificate, key) = certificates.client.clone();
    let store = RedisStore::builder(&url)
        .root_certificates(certificates.root.clone())
        .client_certificate(certificate, key)
        .connect()
        .await
        .unwrap();
    let request = completed(&store, "answer").await;
    assert_eq!(
        recorded(&store.claim(again(request)).await.unwrap()),
        "answer"
    );

    // A client without a certificate is not let in, nor is a server that nobody vouches for.
    let nobody = RedisStore::builder(&url).root_certificates(certificates.root);
    assert!(nobody.connect().await.is_err());
    let error = RedisStore::connect(&url).await.unwrap_err();
    assert!(told(&error).contains("certificate"), "{}", told(&error));
}

#[tokio::test]
async fn certificates_that_are_none_are_refused_before_anything_is_sent() {
    let url = "rediss://localhost:1";
    for pem in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
    ] {
        let error = RedisStore::builder(url)
            .root_certificates(pem)
            .connect()
            .await;
        let error = error.unwrap_err();
        assert!(matches!(error, SetupError::Certificates { .. }), "{error}");
    }
    let keyless = RedisStore::builder(url).client_certificate(certificates().root, "no key");
    let error = keyless.connect().await.unwrap_err();
    assert!(error.to_string().contains("private key"), "{error}");
}
