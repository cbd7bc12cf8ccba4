//! OpenPGP: whether a detached signature over an archive was made by a key
//! that a recipe pins. The key is judged at the time of signing: keys of past
//! releases have expired since, which makes the releases no worse.

use std::io::Read;

use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag};

/// Checks `signature` over `archive`. `keys` are armoured or binary key files,
/// `pinned` the fingerprints of the primary keys that may sign. Answers the
/// fingerprint of the one that did.
///
/// # Errors
/// Why the signature proves nothing.
pub(crate) fn check(
    archive: impl Read,
    signature: &[u8],
    keys: &[Vec<u8>],
    pinned: &[String],
) -> Result<String, String> {
    let (signature, _) = DetachedSignature::from_reader_single(signature)
        .map_err(|error| format!("it is no OpenPGP signature: {error}"))?;
    let signature = signature.signature;
    let weak = [HashAlgorithm::Md5, HashAlgorithm::Sha1, HashAlgorithm::Ripemd160];
    if signature.hash_alg().is_none_or(|hash| weak.contains(&hash)) {
        return Err("it signs a digest that can be forged".into());
    }
    let signed = signature.created().ok_or("it has no date")?.as_secs();
    for key in keys.iter().flat_map(|file| certificates(file)) {
        let name = key.primary_key.fingerprint().to_string().to_ascii_uppercase();
        if !pinned.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            continue;
        }
        let subkey = key.public_subkeys.iter().find(|subkey| made(&signature, &subkey.key));
        if subkey.is_none() && !made(&signature, &key.primary_key) {
            continue;
        }
        may_sign(&key, signed).map_err(|why| format!("key {name} {why}"))?;
        let verified = match subkey {
            Some(subkey) => {
                subkey_may_sign(subkey, &key, signed)
                    .map_err(|why| format!("the signing key below {name} {why}"))?;
                signature.verify(&subkey.key, archive)
            }
            None => signature.verify(&key.primary_key, archive),
        };
        return verified.map(|()| name).map_err(|_| "it is not over this archive".into());
    }
    let issuers: Vec<String> = signature.issuer_key_id().iter().map(ToString::to_string).collect();
    Err(format!(
        "it was made by {}, which is none of the pinned keys {}",
        issuers.join(", "),
        pinned.join(", ")
    ))
}

/// The keys of a file; those that cannot be read are nobody's.
fn certificates(file: &[u8]) -> Vec<SignedPublicKey> {
    match SignedPublicKey::from_reader_many(file) {
        Ok((keys, _)) => keys.flatten().collect(),
        Err(_) => Vec::new(),
    }
}

/// Whether a signature names that key as its maker.
fn made(signature: &Signature, key: &impl KeyDetails) -> bool {
    signature.issuer_fingerprint().contains(&&key.fingerprint())
        || signature.issuer_key_id().contains(&&key.legacy_key_id())
}

/// Whether the primary key was good at that time.
fn may_sign(key: &SignedPublicKey, signed: u32) -> Result<(), String> {
    let primary = &key.primary_key;
    let revoked = key.details.revocation_signatures.iter();
    if revoked.clone().any(|revocation| revocation.verify_key(primary).is_ok()) {
        return Err("is revoked".into());
    }
    let direct = key.details.direct_signatures.iter().filter(|own| own.verify_key(primary).is_ok());
    let by_name = key.details.users.iter().flat_map(|user| {
        let names = move |own: &&Signature| {
            own.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        };
        user.signatures.iter().filter(names)
    });
    let own = newest(direct.chain(by_name)).ok_or("does not vouch for itself")?;
    lives_at(primary, own, signed)
}

/// Whether a subkey was good at that time, and made for signing.
fn subkey_may_sign(
    subkey: &SignedPublicSubKey,
    key: &SignedPublicKey,
    signed: u32,
) -> Result<(), String> {
    let primary = &key.primary_key;
    let valid = subkey
        .signatures
        .iter()
        .filter(|own| own.verify_subkey_binding(primary, &subkey.key).is_ok());
    let (revocations, bindings): (Vec<&Signature>, Vec<&Signature>) =
        valid.partition(|own| own.typ() == Some(SignatureType::SubkeyRevocation));
    if !revocations.is_empty() {
        return Err("is revoked".into());
    }
    let binding = newest(bindings.into_iter()).ok_or("does not belong to it")?;
    // Without the way back, somebody could adopt another's signing key.
    let back = binding.embedded_signature();
    let mutual =
        back.is_some_and(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok());
    if !binding.key_flags().sign() || !mutual {
        return Err("is not for signing".into());
    }
    lives_at(&subkey.key, binding, signed)
}

fn newest<'s>(signatures: impl Iterator<Item = &'s Signature>) -> Option<&'s Signature> {
    signatures.max_by_key(|signature| signature.created().map(|time| time.as_secs()))
}

/// Whether a key existed and had not expired at that time, by what its newest
/// self-signature says.
fn lives_at(key: &impl KeyDetails, own: &Signature, time: u32) -> Result<(), String> {
    let created = key.created_at().as_secs();
    let lifetime = own.key_expiration_time().map_or(0, |lifetime| lifetime.as_secs());
    if time < created {
        return Err("is younger than the signature".into());
    }
    if lifetime != 0 && time >= created.saturating_add(lifetime) {
        return Err("had expired when it signed".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pgp::composed::{KeyType, SecretKeyParamsBuilder, SignedSecretKey};
    use pgp::packet::{KeyFlags, SignatureConfig, Subpacket, SubpacketData};
    use pgp::ser::Serialize as _;
    use pgp::types::{Duration, Password, Timestamp};

    use super::*;

    /// Seconds: when the keys of these tests are made.
    const MADE: u32 = 1_000_000_000;
    const ARCHIVE: &[u8] = b"an archive";

    fn new_key() -> SignedSecretKey {
        let mut key = SecretKeyParamsBuilder::default();
        key.key_type(KeyType::Ed25519Legacy)
            .can_sign(true)
            .can_certify(true)
            .created_at(Timestamp::from_secs(MADE))
            .primary_user_id("A release manager <manager@example.invalid>".into());
        key.build().unwrap().generate(rand::thread_rng()).unwrap()
    }

    fn config(key: &SignedSecretKey, kind: SignatureType, time: u32) -> SignatureConfig {
        let primary = &key.primary_key;
        let mut config = SignatureConfig::v4(kind, primary.algorithm(), HashAlgorithm::Sha256);
        config.hashed_subpackets = [
            SubpacketData::SignatureCreationTime(Timestamp::from_secs(time)),
            SubpacketData::IssuerFingerprint(primary.fingerprint()),
        ]
        .map(|data| Subpacket::regular(data).unwrap())
        .into();
        config
    }

    fn sign(key: &SignedSecretKey, time: u32) -> Vec<u8> {
        let config = config(key, SignatureType::Binary, time);
        let signature = config.sign(&key.primary_key, &Password::empty(), ARCHIVE).unwrap();
        DetachedSignature::new(signature).to_bytes().unwrap()
    }

    /// The public key, whose owner says that it lives for so many seconds.
    fn with_lifetime(key: &SignedSecretKey, seconds: u32) -> SignedPublicKey {
        let mut public = key.to_public_key();
        let mut config = config(key, SignatureType::CertPositive, MADE + 1);
        let mut flags = KeyFlags::default();
        flags.set_sign(true);
        let more = [
            SubpacketData::KeyFlags(flags),
            SubpacketData::KeyExpirationTime(Duration::from_secs(seconds)),
        ];
        config.hashed_subpackets.extend(more.map(|data| Subpacket::regular(data).unwrap()));
        let user = &mut public.details.users[0];
        let own = config
            .sign_certification(
                &key.primary_key,
                &public.primary_key,
                &Password::empty(),
                Tag::UserId,
                &user.id,
            )
            .unwrap();
        user.signatures = vec![own];
        public
    }

    fn verdict(archive: &[u8], signature: &[u8], key: &SignedPublicKey) -> Result<String, String> {
        let pinned = [key.primary_key.fingerprint().to_string()];
        check(archive, signature, &[key.to_bytes().unwrap()], &pinned)
    }

    #[test]
    fn a_pinned_key_vouches_for_its_archive_alone() {
        let (key, other) = (new_key(), new_key());
        let (public, signature) = (key.to_public_key(), sign(&key, MADE + 10));
        let name = public.primary_key.fingerprint().to_string().to_ascii_uppercase();
        assert_eq!(verdict(ARCHIVE, &signature, &public), Ok(name));
        let wrong = verdict(b"another archive", &signature, &public).unwrap_err();
        assert!(wrong.contains("not over this archive"), "{wrong}");
        let foreign = verdict(ARCHIVE, &sign(&other, MADE + 10), &public).unwrap_err();
        assert!(foreign.contains("none of the pinned keys"), "{foreign}");
        // A key file may hold more than the pinned key.
        let file = other.to_public_key().to_bytes().unwrap();
        let pinned = [public.primary_key.fingerprint().to_string()];
        assert!(check(ARCHIVE, &sign(&other, MADE + 10), &[file], &pinned).is_err());
        assert!(verdict(ARCHIVE, b"no signature", &public).is_err());
    }

    #[test]
    fn a_key_is_judged_at_the_time_of_signing() {
        let key = new_key();
        let public = with_lifetime(&key, 1000);
        assert!(verdict(ARCHIVE, &sign(&key, MADE + 999), &public).is_ok(), "expired since");
        let late = verdict(ARCHIVE, &sign(&key, MADE + 1000), &public).unwrap_err();
        assert!(late.contains("had expired when it signed"), "{late}");
        let early = verdict(ARCHIVE, &sign(&key, MADE - 1), &public).unwrap_err();
        assert!(early.contains("younger than the signature"), "{early}");
    }

    #[test]
    fn a_revoked_key_vouches_for_nothing() {
        let key = new_key();
        let mut public = key.to_public_key();
        let revocation = config(&key, SignatureType::KeyRevocation, MADE + 5000)
            .sign_key(&key.primary_key, &Password::empty(), &public.primary_key)
            .unwrap();
        public.details.revocation_signatures.push(revocation);
        let revoked = verdict(ARCHIVE, &sign(&key, MADE + 10), &public).unwrap_err();
        assert!(revoked.contains("is revoked"), "{revoked}");
    }

    #[test]
    fn a_digest_that_can_be_forged_is_refused() {
        let key = new_key();
        let mut bytes = sign(&key, MADE + 10);
        // After the packet's head: version, type, key and digest algorithm.
        assert_eq!((bytes[2], bytes[5]), (4, u8::from(HashAlgorithm::Sha256)));
        bytes[5] = HashAlgorithm::Sha1.into();
        let weak = verdict(ARCHIVE, &bytes, &key.to_public_key()).unwrap_err();
        assert!(weak.contains("can be forged"), "{weak}");
    }
}
