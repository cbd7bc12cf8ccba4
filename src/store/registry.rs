//! A store in an OCI registry: trees under their plan hashes as tags, the index and
//! its signature under tags of their own.

use std::fs::File;
use std::path::{Path, PathBuf};

use docker_credential::DockerCredential;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use reqwest::header::HeaderValue;
use tokio::runtime::{Builder, Runtime};

use super::Shelf;
use super::index::{EMPTY, INDEX_TYPE, MANIFEST_TYPE, Parts, Signed, hash_of_bytes};
use crate::error::{Error, Kind, Result};

/// One repository of a registry.
pub(super) struct Registry {
    runtime: Runtime,
    client: Client,
    /// Host and repository.
    name: String,
    auth: RegistryAuth,
}

impl Registry {
    /// `HOST[:PORT]/NAME`; one on the loopback interface is asked without TLS, as
    /// other clients do. Who has logged in with docker or podman is known.
    pub(super) fn new(name: &str) -> Result<Self> {
        crate::tls::use_ring();
        let image = reference(name, INDEX)?;
        let host = image.resolve_registry().to_owned();
        let is_here = ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|here| host == *here || host.starts_with(&format!("{here}:")));
        let protocol = if is_here { ClientProtocol::Http } else { ClientProtocol::Https };
        let client = Client::new(ClientConfig { protocol, ..ClientConfig::default() });
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::io(
            Kind::Network,
            "start",
            "the registry's client",
        ))?;
        Ok(Self { runtime, client, name: name.to_owned(), auth: credentials(&host) })
    }

    fn at(&self, tag: &str) -> Result<Reference> {
        reference(&self.name, tag)
    }

    /// A manifest by its tag; nothing if there is none.
    fn manifest(&self, tag: &str, kind: &str) -> Result<Option<Vec<u8>>> {
        let image = self.at(tag)?;
        let kinds = [kind];
        let answer = self.client.pull_manifest_raw(&image, &self.auth, &kinds);
        match self.runtime.block_on(answer) {
            Ok((bytes, _)) => Ok(Some(bytes.to_vec())),
            Err(error) if is_unknown(&error) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn blob(&self, digest: &str) -> Result<Vec<u8>> {
        let image = self.at(INDEX)?;
        let descriptor =
            OciDescriptor { digest: format!("sha256:{digest}"), ..OciDescriptor::default() };
        let mut bytes = Vec::new();
        let pulled = async {
            self.client.store_auth_if_needed(image.resolve_registry(), &self.auth).await;
            self.client.pull_blob(&image, &descriptor, &mut bytes).await
        };
        self.run(pulled)?;
        Ok(bytes)
    }

    fn put_blob(&self, bytes: Vec<u8>) -> Result<()> {
        let image = self.at(INDEX)?;
        let digest = format!("sha256:{}", hash_of_bytes(&bytes));
        let pushed = async {
            self.client.auth(&image, &self.auth, RegistryOperation::Push).await?;
            self.client.push_blob(&image, bytes, &digest).await
        };
        self.run(pushed).map(drop)
    }

    fn put_manifest(&self, tag: &str, bytes: &[u8], kind: &'static str) -> Result<()> {
        let image = self.at(tag)?;
        let kind = HeaderValue::from_static(kind);
        let pushed = async {
            self.client.auth(&image, &self.auth, RegistryOperation::Push).await?;
            self.client.push_manifest_raw(&image, bytes.to_vec(), kind).await
        };
        self.run(pushed).map(drop)
    }

    fn run<T>(&self, work: impl Future<Output = oci_client::errors::Result<T>>) -> Result<T> {
        self.runtime.block_on(work).map_err(|error| self.failed(error))
    }

    fn failed(&self, source: OciDistributionError) -> Error {
        Error::new(Kind::Network, format!("the registry does not do it for `{}`", self.name))
            .caused_by(source)
            .hint("log in with `docker login` or `podman login`, if it knows its users")
    }
}

impl Shelf for Registry {
    fn index(&self) -> Result<Option<Signed>> {
        let Some(bytes) = self.manifest(INDEX, INDEX_TYPE)? else { return Ok(None) };
        let signature = match self.manifest(SIGNATURE, MANIFEST_TYPE)? {
            Some(manifest) => {
                let digest = Parts::layer(&manifest)?.0;
                Some(String::from_utf8_lossy(&self.blob(&digest)?).into_owned())
            }
            None => None,
        };
        Ok(Some(Signed { bytes, signature }))
    }

    fn small(&self, digest: &str) -> Result<Vec<u8>> {
        let at = self.at(INDEX)?;
        let (host, name) = (at.registry().to_owned(), at.repository().to_owned());
        let image = Reference::with_digest(host, name, format!("sha256:{digest}"));
        let answer = self.client.pull_manifest_raw(&image, &self.auth, &[MANIFEST_TYPE]);
        Ok(self.run(answer)?.0.to_vec())
    }

    fn archive(&self, parts: &Parts, scratch: &Path) -> Result<PathBuf> {
        let bytes = self.blob(&parts.archive)?;
        let path = scratch.join("tree.tar.gz");
        std::fs::write(&path, bytes).map_err(Error::io(Kind::Network, "write", &path))?;
        Ok(path)
    }

    fn put(&self, parts: &Parts, plan: &str, archive: &Path) -> Result<()> {
        let bytes = std::fs::read(archive).map_err(Error::io(Kind::Install, "read", archive))?;
        self.put_blob(bytes)?;
        self.put_blob(EMPTY.to_vec())?;
        self.put_manifest(plan, &parts.manifest, MANIFEST_TYPE)
    }

    fn put_index(&self, index: &Signed) -> Result<()> {
        if let Some(signature) = &index.signature {
            let bytes = signature.clone().into_bytes();
            let parts = Parts::new(hash_of_bytes(&bytes), bytes.len() as u64)?;
            self.put_blob(bytes)?;
            self.put_manifest(SIGNATURE, &parts.manifest, MANIFEST_TYPE)?;
        }
        self.put_manifest(INDEX, &index.bytes, INDEX_TYPE)
    }

    /// Registries lock nothing: of two that push at once, one may have to again.
    fn hold(&self) -> Result<Option<File>> {
        Ok(None)
    }
}

fn reference(name: &str, tag: &str) -> Result<Reference> {
    format!("{name}:{tag}").parse().map_err(|source| {
        Error::new(Kind::Usage, format!("`oci://{name}` is no repository of a registry"))
            .detail("expected oci://HOST[:PORT]/NAME, in lower case")
            .caused_by(source)
    })
}

fn credentials(host: &str) -> RegistryAuth {
    match docker_credential::get_credential(host) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            RegistryAuth::Basic(user, password)
        }
        Ok(DockerCredential::IdentityToken(token)) => RegistryAuth::Bearer(token),
        Err(_) => RegistryAuth::Anonymous,
    }
}

fn is_unknown(error: &OciDistributionError) -> bool {
    let is_named = |code: &OciErrorCode| {
        matches!(code, OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown)
    };
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) => true,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|error| is_named(&error.code))
        }
        _ => false,
    }
}

/// Tag of the index.
const INDEX: &str = "trees";
/// Tag of its signature.
const SIGNATURE: &str = "trees.minisig";
