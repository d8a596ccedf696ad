//! The PEM encoding of keys (RFC 7468).
//!
//! 1. Exactly one block; an `EC PARAMETERS` block before it, as openssl writes, is skipped.
//! 2. Encrypted keys, certificates and other blocks are refused with the command that converts them.

use zeroize::Zeroizing;

use crate::keys::der::DerDocument;
use crate::keys::fault::KeyFault;

/// A decoded block. The label must match the document in the bytes.
pub(super) struct Block<'t> {
    label: &'t str,
    pub(super) der: Zeroizing<Vec<u8>>,
}

impl Block<'_> {
    /// Whether the label names this kind of document.
    pub(super) fn is(&self, document: &DerDocument<'_>) -> bool {
        let label = match document {
            DerDocument::PublicInfo { .. } => "PUBLIC KEY",
            DerDocument::RsaPublic { .. } => "RSA PUBLIC KEY",
            DerDocument::PrivateInfo { .. } => "PRIVATE KEY",
            DerDocument::RsaPrivate(_) => "RSA PRIVATE KEY",
            DerDocument::EcPrivate => "EC PRIVATE KEY",
            DerDocument::Certificate => return false,
        };
        self.label == label
    }
}

/// Decodes the one key block of `text`.
pub(super) fn decode(text: &[u8]) -> Result<Block<'_>, KeyFault> {
    let text = std::str::from_utf8(text).map_err(|_| NOT_PEM)?;
    let mut blocks = text.split("-----BEGIN ");
    // Explanatory text may precede a block (RFC 7468 §2).
    blocks.next();
    let mut found = None;
    for block in blocks {
        let (label, rest) = block.split_once("-----").ok_or(NOT_PEM)?;
        if label == "EC PARAMETERS" && found.is_none() {
            continue;
        }
        if found.is_some() {
            return Err(pem(
                "there is more than one PEM block; pass only that of this key",
            ));
        }
        check_label(label)?;
        found = Some((label, body(rest)?));
    }
    let (label, body) = found.ok_or(NOT_PEM)?;
    let der = unarmour(body.as_bytes()).ok_or(NOT_PEM)?;
    Ok(Block { label, der })
}

const NOT_PEM: KeyFault = pem("this is not a PEM block with a key (-----BEGIN … KEY-----)");

const fn pem(problem: &'static str) -> KeyFault {
    KeyFault::new("PEM key", problem)
}

fn check_label(label: &str) -> Result<(), KeyFault> {
    Err(match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" | "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {
            return Ok(());
        }
        "ENCRYPTED PRIVATE KEY" => ENCRYPTED,
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
            pem("this is a certificate; extract its public key with `openssl x509 -pubkey -noout`")
        }
        "OPENSSH PRIVATE KEY" => {
            pem("this is an OpenSSH key; convert it with `ssh-keygen -p -m PKCS8`")
        }
        _ => pem("PEM blocks of this kind are not keys for signatures"),
    })
}

const ENCRYPTED: KeyFault = pem("the key is encrypted; decrypt it with `openssl pkcs8`");

/// The base64 between the label and the end line.
fn body(rest: &str) -> Result<&str, KeyFault> {
    let (body, _) = rest.split_once("-----END ").ok_or(NOT_PEM)?;
    if body.contains("ENCRYPTED") {
        return Err(ENCRYPTED);
    }
    Ok(body)
}

/// Base64 with whitespace, decoded into a buffer that is overwritten when dropped.
pub(super) fn unarmour(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(body.len()));
    bytes.extend(body.iter().filter(|byte| !byte.is_ascii_whitespace()));
    let length = base64_simd::STANDARD.decode_inplace(&mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}
