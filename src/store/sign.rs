//! Who has made a store's index: minisign signatures (Ed25519 over BLAKE2b), as its
//! own program writes and checks them.

use std::fs::File;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox, SignatureBox};

use super::index::Signed;
use crate::digest::hex;
use crate::error::{Error, Kind, Result};

/// Whose index is taken.
#[derive(Debug)]
pub enum Trust {
    /// That of the owner of a key.
    Key(PublicKey),
    /// Whatever is there.
    Everybody,
}

impl Trust {
    /// The owner of a public key: its base64, or the file that holds it.
    ///
    /// # Errors
    /// When it is neither.
    pub fn in_key(key: &str) -> Result<Self> {
        let read = PublicKey::from_base64(key).or_else(|_| PublicKey::from_file(key));
        read.map(Self::Key).map_err(|source| {
            Error::new(Kind::Usage, format!("`{key}` is no public key of minisign"))
                .detail("expected a file like minisign.pub, or its last line")
                .caused_by(source)
        })
    }

    pub(super) fn check(&self, index: &Signed, location: &str) -> Result<()> {
        let Self::Key(key) = self else { return Ok(()) };
        let wrong = |why: String| {
            Err(Error::new(Kind::Checksum, format!("`{location}` is not signed by the named key"))
                .detail(format!("expected key {}", name_of(key.keynum())))
                .detail(format!("found    {why}"))
                .hint("nothing was taken from it; ask whoever runs it for their public key"))
        };
        let Some(text) = &index.signature else { return wrong("no signature".into()) };
        let signature = match SignatureBox::from_string(text) {
            Ok(signature) => signature,
            Err(error) => return wrong(format!("a signature that cannot be read: {error}")),
        };
        let name = name_of(signature.keynum());
        match minisign::verify(key, &signature, Cursor::new(&index.bytes), true, false, false) {
            Ok(()) => Ok(()),
            Err(error) => wrong(format!("key {name}: {error}")),
        }
    }
}

/// Who signs. Not to be printed: the key is what minisign would print of it.
#[allow(missing_debug_implementations, reason = "it holds a secret")]
pub struct Signer {
    key: SecretKey,
    path: PathBuf,
}

impl Signer {
    /// Reads a secret key. One with a password asks for it, on the terminal.
    ///
    /// # Errors
    /// When there is no such key, or the password is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(Kind::Usage, "read", path))?;
        let parse = || SecretKeyBox::from_string(&text);
        parse()
            .and_then(SecretKeyBox::into_unencrypted_secret_key)
            .or_else(|_| parse().and_then(|key| key.into_secret_key(None)))
            .map(|key| Self { key, path: path.to_owned() })
            .map_err(|source| {
                let text = format!("`{}` is no secret key of minisign", path.display());
                Error::new(Kind::Usage, text)
                    .caused_by(source)
                    .hint("--new-key FILE makes one without a password, `minisign -G` one with")
            })
    }

    /// Makes a key without a password: the secret one at `path`, for its owner alone,
    /// the public one beside it with `.pub`. What is there stays.
    ///
    /// # Errors
    /// When one of the files is there or cannot be written.
    pub fn make(path: &Path) -> Result<Self> {
        let failed = |source| {
            Error::new(Kind::Usage, "no key can be made on this machine").caused_by(source)
        };
        let pair = KeyPair::generate_unencrypted_keypair().map_err(failed)?;
        let secret = pair.sk.to_box(Some("secret key of a store")).map_err(failed)?;
        let mut public = path.to_owned().into_os_string();
        public.push(".pub");
        let public = PathBuf::from(public);
        for (path, mode, text) in [
            (path, 0o600, secret.into_string()),
            (&public, 0o644, pair.pk.to_box().map_err(failed)?.into_string()),
        ] {
            File::options()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(Error::io(Kind::Usage, "write", path))?;
        }
        Ok(Self { key: pair.sk, path: path.to_owned() })
    }

    /// One's own index is what one adds to.
    ///
    /// # Errors
    /// When the key is damaged.
    pub(super) fn trust(&self) -> Result<Trust> {
        PublicKey::from_secret_key(&self.key).map(Trust::Key).map_err(|source| self.failed(source))
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Result<String> {
        minisign::sign(None, &self.key, Cursor::new(bytes), None, None)
            .map(SignatureBox::into_string)
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: minisign::PError) -> Error {
        let text = format!("`{}` cannot sign", self.path.display());
        Error::new(Kind::Usage, text).caused_by(source)
    }
}

/// A key's number as minisign shows it.
fn name_of(number: &[u8]) -> String {
    let bytes: Vec<u8> = number.iter().rev().copied().collect();
    hex(&bytes).to_uppercase()
}
