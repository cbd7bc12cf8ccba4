//! `sbom`: what the installed httpd is made of, as a CycloneDX 1.6 document,
//! with licence texts and patches. The same tree gives the same bytes.

use std::path::Path;

use prefix::{Component, Record};
use serde_json::{Value, json};

use super::{Context, ROOT};
use crate::cli::SbomArgs;
use crate::error::{Error, Kind, Result};
use crate::folder;

/// Writes the document to a file or standard output.
pub(super) fn sbom(context: &Context<'_>, args: &SbomArgs) -> Result<()> {
    let base = context.place(&args.place)?.base;
    let record = base.record()?;
    let document = document(&record, &base.tree(&record.plan))?;
    let Some(path) = &args.output else {
        let text = serde_json::to_string_pretty(&document).map_err(|source| {
            Error::new(Kind::Install, "failed to write the document").caused_by(source)
        })?;
        context.report.result(&text, json!({ "sbom": document }));
        return Ok(());
    };
    std::fs::write(path, format!("{document:#}\n")).map_err(Error::io(
        Kind::Install,
        "write",
        path,
    ))?;
    context.report.result(
        &format!("{} components are listed in {}", record.components.len(), path.display()),
        json!({ "file": path, "components": record.components.len() }),
    );
    Ok(())
}

fn document(record: &Record, tree: &Path) -> Result<Value> {
    let components =
        record.components.iter().map(|part| component(part, tree)).collect::<Result<Vec<_>>>()?;
    let names: Vec<String> = record.components.iter().map(reference).collect();
    let root = record.components.iter().find(|part| part.name == ROOT).map(reference);
    let below: Vec<&String> = names.iter().filter(|name| Some(*name) != root.as_ref()).collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(&record.plan),
        "version": 1,
        "metadata": {
            "tools": { "components": [{
                "type": "application", "name": "mod_wsgi-httpd", "version": record.tool,
            }] },
            "component": {
                "type": "application",
                "bom-ref": format!("tree:{}", record.plan),
                "name": "private httpd",
                "version": record.component(ROOT).map_or("", |part| part.version.as_str()),
            },
            "properties": [
                { "name": "mod_wsgi-httpd:plan", "value": record.plan },
                { "name": "mod_wsgi-httpd:target", "value": record.target },
                { "name": "mod_wsgi-httpd:compiler", "value": record.compiler },
                { "name": "mod_wsgi-httpd:features", "value": record.features.join(" ") },
                { "name": "mod_wsgi-httpd:tls", "value": record.tls },
            ],
        },
        "components": components,
        "dependencies": [
            { "ref": format!("tree:{}", record.plan), "dependsOn": root.iter().collect::<Vec<_>>() },
            { "ref": root, "dependsOn": below },
        ],
    }))
}

fn component(part: &Component, tree: &Path) -> Result<Value> {
    let patches: Vec<Value> = part
        .patches
        .iter()
        .map(|name| json!({ "type": "unofficial", "diff": { "url": format!("patches/{}/{name}", part.name) } }))
        .collect();
    let mut value = json!({
        "type": if part.name == ROOT { "application" } else { "library" },
        "bom-ref": reference(part),
        "name": part.name,
        "version": part.version,
        "purl": format!("pkg:generic/{}@{}", part.name, part.version),
        "hashes": [{ "alg": "SHA-256", "content": part.sha256 }],
        "licenses": [{ "license": { "id": part.licence, "text": {
            "contentType": "text/plain", "content": licence_text(&tree.join("licences").join(&part.name))?,
        } } }],
        "externalReferences": [
            { "type": "website", "url": part.homepage },
            { "type": "source-distribution", "url": part.file, "comment": part.origin,
              "hashes": [{ "alg": "SHA-256", "content": part.sha256 }] },
        ],
        "properties": [
            { "name": "mod_wsgi-httpd:below-minimum-safe-version", "value": part.vulnerable.to_string() },
        ],
    });
    if !patches.is_empty() {
        value["pedigree"] = json!({ "patches": patches });
    }
    Ok(value)
}

fn reference(part: &Component) -> String {
    format!("{}@{}", part.name, part.version)
}

/// All licence files of a component, one after the other.
fn licence_text(folder: &Path) -> Result<String> {
    let mut text = String::new();
    for file in folder::items(folder)? {
        let bytes = std::fs::read(&file).map_err(Error::io(Kind::Install, "read", &file))?;
        text.push_str(&String::from_utf8_lossy(&bytes));
        text.push('\n');
    }
    Ok(text)
}

/// A UUID made of the plan hash (RFC 9562, version 8: own contents).
fn serial(plan: &str) -> String {
    let digits: String = plan
        .chars()
        .filter(char::is_ascii_hexdigit)
        .chain("0".repeat(32).chars())
        .take(32)
        .collect();
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_number_is_a_uuid() {
        let serial = serial("0123456789abcdef0123456789abcdef");
        assert_eq!(serial, "urn:uuid:01234567-89ab-8def-8123-456789abcdef");
    }
}
