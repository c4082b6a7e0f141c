//! TLS as libpq's `sslmode` describes it, by rustls.

use std::sync::Arc;

use outport_core::{Error, ErrorKind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::config::SslMode;
use super::settings::Settings;

/// The client's side of a TLS connection to the host of `settings`.
pub(super) fn client(settings: &Settings) -> Result<ClientConnection> {
    let failed =
        |e: rustls::Error| Error::new(ErrorKind::Connection, format!("TLS cannot be set up: {e}")).retryable(false);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().map_err(failed)?;
    let config = match settings.sslmode {
        SslMode::VerifyFull => builder.with_root_certificates(roots(settings)?).with_no_client_auth(),
        SslMode::VerifyCa => {
            let verifier = Lenient { provider, roots: Some(roots(settings)?) };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
        SslMode::Disable | SslMode::Prefer | SslMode::Require => {
            let verifier = Lenient { provider, roots: None };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
    };
    let name = ServerName::try_from(settings.host.clone()).map_err(|_| {
        Error::new(ErrorKind::Config, format!("\"{}\" is not a host name that a certificate can name", settings.host))
    })?;
    ClientConnection::new(Arc::new(config), name).map_err(failed)
}

fn roots(settings: &Settings) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match settings.sslrootcert.as_deref() {
        None | Some("system") => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(path) => {
            let wrong = |e: &dyn std::fmt::Display| {
                Error::new(ErrorKind::Config, format!("sslrootcert {path} cannot be read: {e}"))
                    .hint("expected a PEM file of certificates, or `system`")
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|e| wrong(&e))? {
                store.add(certificate.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
            }
        }
    }
    if store.is_empty() {
        return Err(Error::new(ErrorKind::Config, "no trusted certificate authority was found")
            .hint("name a PEM file in `sslrootcert`, or use sslmode `require`, which does not check the certificate"));
    }
    Ok(store)
}

/// Checks signatures always, the chain where there are roots, and the host name never.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    roots: Option<RootCertStore>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
