//! A C file that compiles only if every declaration here is that of the
//! headers.

use super::functions::SIGNATURES;
use super::structs::{CONSTANTS, LAYOUTS};

/// The text of that file.
#[must_use]
pub fn c_checks() -> String {
    let mut text = String::from(
        "#include \"httpd.h\"\n#include \"http_config.h\"\n#include \"http_core.h\"\n\
         #include \"http_log.h\"\n#include \"http_main.h\"\n#include \"http_protocol.h\"\n\
         #include \"http_request.h\"\n#include \"ap_mpm.h\"\n#include \"ap_listen.h\"\n#include \"unixd.h\"\n#include \"mod_auth.h\"\n#include \"mpm_common.h\"\n#include \"scoreboard.h\"\n#include \"util_filter.h\"\n\
         #include \"util_script.h\"\n#include \"apr_buckets.h\"\n#include \"apr_optional.h\"\n\
         #include \"apr_portable.h\"\n#include \"apr_thread_proc.h\"\n#include \"apr_strings.h\"\n#include \"apr_hooks.h\"\n\
         #include <stddef.h>\n#include <stdint.h>\n\
         #define SAME(what, ours) _Static_assert((what) == (ours), #what)\n",
    );
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    for layout in LAYOUTS {
        let tag = c_name(layout.name);
        if let Some(size) = layout.size {
            line(format!("SAME(sizeof({tag}), {size});"));
        }
        for (field, offset) in layout.fields {
            let field = field.trim_start_matches("r#");
            if !field.starts_with('_') {
                line(format!("SAME(offsetof({tag}, {field}), {offset});"));
            }
        }
    }
    for (name, value) in CONSTANTS {
        line(format!("SAME((long long)({name}), {value}LL);"));
    }
    for (name, arguments, returns) in SIGNATURES {
        let arguments: Vec<String> = arguments.iter().map(|text| c_type(text)).collect();
        let arguments = if arguments.is_empty() { "void".into() } else { arguments.join(", ") };
        let returns = if returns.is_empty() { "void".into() } else { c_type(returns) };
        // In brackets, because some functions are macros as well.
        line(match returns.split_once("(*)") {
            Some((before, after)) => format!("{before}(*({name})({arguments})){after};"),
            None => format!("{returns} ({name})({arguments});"),
        });
    }
    text
}

/// A type as C writes it. Function pointers are spelled out in one place.
fn c_type(rust: &str) -> String {
    let rust = rust.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(inner) = rust.strip_prefix("Option<").and_then(|text| text.strip_suffix('>')) {
        return c_function(inner);
    }
    if let Some(target) = rust.strip_prefix("*mut ") {
        return format!("{} *", c_type(target));
    }
    if let Some(target) = rust.strip_prefix("*const ") {
        // `*const *const c_char` is a pointer to pointers to constant text.
        return match target.strip_prefix('*') {
            Some(_) => format!("{} const *", c_type(target)),
            None => format!("const {} *", c_type(target)),
        };
    }
    c_name(&rust)
}

fn c_function(rust: &str) -> String {
    let signature = rust.trim_start_matches("unsafe extern \"C\" fn(");
    let (arguments, returns) = match signature.split_once(") -> ") {
        Some((arguments, returns)) => (arguments, c_type(returns)),
        None => (signature.trim_end_matches(')'), "void".to_owned()),
    };
    let arguments: Vec<String> =
        arguments.split(", ").filter(|text| !text.is_empty()).map(c_type).collect();
    let arguments = if arguments.is_empty() { "void".into() } else { arguments.join(", ") };
    format!("{returns} (*)({arguments})")
}

fn c_name(rust: &str) -> String {
    match rust {
        "c_char" => "char".into(),
        "c_int" => "int".into(),
        "c_uint" => "unsigned int".into(),
        "c_long" => "long".into(),
        "c_void" => "void".into(),
        "i32" => "apr_int32_t".into(),
        "u16" => "apr_port_t".into(),
        "ap_conf_vector_t" | "ap_logconf" => format!("struct {rust}"),
        other => other.to_owned(),
    }
}
