//! A minimal DER parser (X.690 §10) that distinguishes key formats and extracts public numbers.
//!
//! 1. Lengths are definite and minimal; nothing may follow the outermost value.
//! 2. Nothing is allocated: results borrow from the input.
//! 3. The parser identifies the document. Its numbers are checked where they are used.

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;

/// 1.2.840.113549.1.1.1 (RFC 8017 appendix A.1)
pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1 (RFC 5480 §2.1.1)
pub(super) const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7 (RFC 5480 §2.1.1.1)
pub(super) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.132.0.34 (RFC 5480 §2.1.1.1)
pub(super) const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.3.101.112 (RFC 8410 §3)
pub(super) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The kind of a key: the object identifier of the algorithm and, for EC, that of the curve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind<'d> {
    pub(super) algorithm: &'d [u8],
    pub(super) curve: Option<&'d [u8]>,
}

/// A recognized DER document.
pub(super) enum DerDocument<'d> {
    /// `Certificate` (RFC 5280 §4.1).
    Certificate,
    /// `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    PublicInfo { kind: Kind<'d>, key: &'d [u8] },
    /// `PrivateKeyInfo` (RFC 5958 §2).
    PrivateInfo { kind: Kind<'d>, key: &'d [u8] },
    /// `RSAPublicKey` (RFC 8017 appendix A.1.1): n, e.
    RsaPublic { n: &'d [u8], e: &'d [u8] },
    /// `RSAPrivateKey` (RFC 8017 appendix A.1.2): n, e, d, p, q, dP, dQ, qInv.
    RsaPrivate([&'d [u8]; 8]),
    /// `ECPrivateKey` (RFC 5915 §3).
    EcPrivate,
}

/// Parses `der` as one of the documents above, complete and without trailing bytes.
pub(super) fn parse(der: &[u8]) -> Option<DerDocument<'_>> {
    let body = Reader::whole(der, SEQUENCE)?;
    rsa_public(body.clone())
        .or_else(|| rsa_private(body.clone()))
        .or_else(|| public_info(body.clone()))
        .or_else(|| private_info(body.clone()))
        .or_else(|| ec_private(body.clone()))
        .or_else(|| certificate(body))
}

fn rsa_public(mut body: Reader<'_>) -> Option<DerDocument<'_>> {
    let n = body.unsigned()?;
    let e = body.unsigned()?;
    body.end()?;
    Some(DerDocument::RsaPublic { n, e })
}

fn rsa_private(mut body: Reader<'_>) -> Option<DerDocument<'_>> {
    // Version 0: two primes. Multi-prime keys (RFC 8017 §3.2) are not for JWS.
    if body.expect(INTEGER)? != [0] {
        return None;
    }
    let mut numbers: [&[u8]; 8] = [&[]; 8];
    for number in &mut numbers {
        *number = body.unsigned()?;
    }
    body.end()?;
    Some(DerDocument::RsaPrivate(numbers))
}

fn public_info(mut body: Reader<'_>) -> Option<DerDocument<'_>> {
    let kind = kind(&mut body)?;
    let key = match body.expect(BIT_STRING)? {
        // The first octet counts unused bits (X.690 §8.6.2).
        [0, key @ ..] => key,
        _ => return None,
    };
    body.end()?;
    Some(DerDocument::PublicInfo { kind, key })
}

fn private_info(mut body: Reader<'_>) -> Option<DerDocument<'_>> {
    if !matches!(body.expect(INTEGER)?, [0 | 1]) {
        return None;
    }
    let kind = kind(&mut body)?;
    let key = body.expect(OCTET_STRING)?;
    // Attributes and the public key may follow; aws-lc reads them.
    Some(DerDocument::PrivateInfo { kind, key })
}

fn ec_private(mut body: Reader<'_>) -> Option<DerDocument<'_>> {
    if body.expect(INTEGER)? != [1] {
        return None;
    }
    body.expect(OCTET_STRING)?;
    Some(DerDocument::EcPrivate)
}

fn certificate(mut body: Reader<'_>) -> Option<DerDocument<'_>> {
    let mut certificate = Reader(body.expect(SEQUENCE)?);
    // Version 1 has no [0] version field and begins with the serial number.
    let (tag, _) = certificate.read()?;
    if !matches!(tag, CONTEXT_0 | INTEGER) {
        return None;
    }
    body.expect(SEQUENCE)?;
    body.expect(BIT_STRING)?;
    body.end()?;
    Some(DerDocument::Certificate)
}

/// `AlgorithmIdentifier` (RFC 5280 §4.1.1.2).
fn kind<'d>(body: &mut Reader<'d>) -> Option<Kind<'d>> {
    let mut identifier = Reader(body.expect(SEQUENCE)?);
    let algorithm = identifier.expect(OBJECT_IDENTIFIER)?;
    let curve = identifier.expect(OBJECT_IDENTIFIER);
    Some(Kind { algorithm, curve })
}

#[derive(Clone)]
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    /// The contents of `der`, which must be one value with this tag.
    fn whole(der: &'d [u8], tag: u8) -> Option<Self> {
        let mut outer = Self(der);
        let body = outer.expect(tag)?;
        outer.end()?;
        Some(Self(body))
    }

    fn read(&mut self) -> Option<(u8, &'d [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => long_length(rest, usize::from(first & 0x7f))?,
            // Indefinite, or 16 MiB and more.
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    fn expect(&mut self, tag: u8) -> Option<&'d [u8]> {
        let mut ahead = self.clone();
        match ahead.read()? {
            (found, contents) if found == tag => {
                *self = ahead;
                Some(contents)
            }
            _ => None,
        }
    }

    /// A non-negative INTEGER without its leading zero octet; zero is empty.
    fn unsigned(&mut self) -> Option<&'d [u8]> {
        match self.expect(INTEGER)? {
            [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => None,
            [0, number @ ..] => Some(number),
            number => Some(number),
        }
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

fn long_length(bytes: &[u8], count: usize) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(count)?;
    let length = digits
        .iter()
        .fold(0, |length, &digit| (length << 8) | usize::from(digit));
    let minimal = length > 0x7f && digits.first() != Some(&0);
    minimal.then_some((length, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn non_minimal_and_trailing_bytes_are_refused() {
        let good = [0x30, 6, 2, 1, 5, 2, 1, 3];
        assert!(matches!(
            parse(&good),
            Some(DerDocument::RsaPublic { n: [5], e: [3] })
        ));
        let refused: [&[u8]; 7] = [
            &[0x30, 6, 2, 1, 5, 2, 1, 3, 0],
            &[0x30, 0x81, 6, 2, 1, 5, 2, 1, 3],
            &[0x30, 0x80, 2, 1, 5, 2, 1, 3, 0, 0],
            &[0x30, 7, 2, 2, 0, 5, 2, 1, 3],
            &[0x30, 6, 2, 1, 0x85, 2, 1, 3],
            &[0x30, 6, 2, 1, 5, 2, 2, 3],
            &[0x30, 5, 2, 1, 5, 2, 0],
        ];
        for bytes in refused {
            assert!(parse(bytes).is_none(), "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
