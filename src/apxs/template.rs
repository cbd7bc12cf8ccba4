//! `apxs -g`: the start of a new module.

use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::report::Report;

/// Writes `NAME/mod_NAME.c` and `NAME/Makefile`; nothing is overwritten.
pub(super) fn generate(name: &str, report: &Report) -> Result<()> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(word) || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(super::usage(format!("`{name}` is no name that C could use")));
    }
    let folder = Path::new(name);
    std::fs::create_dir(folder).map_err(Error::io(Kind::Module, "make folder", folder))?;
    for (file, text) in [("Makefile".to_owned(), MAKEFILE), (format!("mod_{name}.c"), SOURCE)] {
        let path = folder.join(file);
        std::fs::write(&path, text.replace("@name@", name)).map_err(Error::io(
            Kind::Module,
            "write",
            &path,
        ))?;
        report.step("Wrote", &path.display().to_string());
    }
    Ok(())
}

const MAKEFILE: &str = "APXS = apxs

all: mod_@name@.la

mod_@name@.la: mod_@name@.c
\t$(APXS) -c mod_@name@.c

install: mod_@name@.la
\t$(APXS) -i -a -n @name@ mod_@name@.la

clean:
\trm -rf mod_@name@.la .libs

.PHONY: all install clean
";

const SOURCE: &str = r#"/* Answers every request that `SetHandler @name@` gives it. */

#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"

static int @name@_handler(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, "@name@"))
        return DECLINED;
    ap_set_content_type(r, "text/plain");
    if (!r->header_only)
        ap_rputs("mod_@name@ serves this page\n", r);
    return OK;
}

static void @name@_register_hooks(apr_pool_t *p)
{
    ap_hook_handler(@name@_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(@name@) = {
    STANDARD20_MODULE_STUFF,
    NULL, NULL, NULL, NULL, NULL,
    @name@_register_hooks
};
"#;
