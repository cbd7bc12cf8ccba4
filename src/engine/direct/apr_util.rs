//! APR-util: its headers from its own templates, the files that its
//! `build-outputs.mk` lists, expat hidden inside.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use super::apr::{compile_listed, flags, include, libraries};
use super::board::Board;
use super::link::{Version, shared_library};
use super::{ask, headers, read};
use crate::engine::component::{Component, write};
use crate::engine::pool::acquire;
use crate::error::Result;

pub(super) fn build(component: &Component<'_>, board: &Board) -> Result<Vec<String>> {
    let begin = Instant::now();
    let source = component.start()?;
    let folder = &source.folder;
    {
        let _token = acquire(component.machine.jobs)?;
        write_headers(component, folder)?;
    }
    board.tell_headers("apr-util", folder.join("include"));
    let mut flags = flags();
    for below in ["include", "include/private"] {
        flags.push(include(&folder.join(below)));
    }
    for need in ["apr", "expat"] {
        flags.push(include(&board.headers(need)?));
    }
    let objects = compile_listed(component, folder, &flags)?;
    let version = Version::read(&read(folder, "include/apu_version.h")?, "APU")?;
    for need in ["apr", "expat"] {
        board.library(need)?;
    }
    let job = component.job;
    let mut linked = vec![
        job.dep("expat").join("lib/libexpat.a").into_os_string(),
        job.stage().join("lib/libapr-1.so").into_os_string(),
    ];
    linked.extend(libraries(component, board)?.into_iter().map(Into::into));
    shared_library(component, folder, &objects, ("libaprutil-1", &version), linked)?;
    let _token = acquire(component.machine.jobs)?;
    let values = BTreeMap::from([("db-version".to_owned(), "0".to_owned())]);
    component.install_all(folder, &values)?;
    component.tell_built(begin);
    Ok(source.patches)
}

fn write_headers(component: &Component<'_>, folder: &Path) -> Result<()> {
    let config = read(folder, "include/private/apu_config.h.in")?;
    let (questions, answers) = ask(component, &headers::asked(&config))?;
    write(&folder.join("include/private/apu_config.h"), &headers::config(&config, &answers))?;
    for name in ["apu.h", "apu_want.h", "apr_ldap.h", "private/apu_select_dbm.h"] {
        let template = read(folder, &format!("include/{name}.in"))?;
        let text = headers::fill(&template, &questions.fill, &answers)?;
        write(&folder.join("include").join(name), &text)?;
    }
    Ok(())
}
