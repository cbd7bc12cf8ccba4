//! Directives: one record each, from which httpd's table is made.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::time::Duration;

use crate::pool::Pool;
use crate::sys;
use crate::table::bytes_of;

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Main server alone.
    Global,
    /// Main server and virtual hosts.
    Server,
    /// Folders, locations and files as well.
    Directory,
    /// `.htaccess` as well, where `AllowOverride FileInfo` holds.
    FileInfo,
    /// Folders, and `.htaccess` where `AllowOverride AuthConfig` holds.
    AuthConfig,
}

impl Scope {
    fn mask(self) -> c_int {
        match self {
            Self::Global | Self::Server => sys::RSRC_CONF,
            Self::Directory => sys::RSRC_CONF | sys::ACCESS_CONF,
            Self::FileInfo => sys::RSRC_CONF | sys::ACCESS_CONF | sys::OR_FILEINFO,
            Self::AuthConfig => sys::OR_AUTHCFG,
        }
    }
}

/// A server record, main or virtual.
#[derive(Clone, Copy, Debug)]
pub struct Server(*mut sys::server_rec);

impl Server {
    /// The server behind a pointer of httpd's.
    ///
    /// # Safety
    /// It must live as long as this is used (S5).
    #[must_use]
    pub unsafe fn from_raw(server: *mut sys::server_rec) -> Self {
        Self(server)
    }

    /// The pointer.
    #[must_use]
    pub fn raw(self) -> *mut sys::server_rec {
        self.0
    }

    /// Whether it is a virtual host.
    #[must_use]
    pub fn is_virtual(self) -> bool {
        // SAFETY: S5.
        unsafe { (*self.0).is_virtual != 0 }
    }

    /// Its configured name.
    #[must_use]
    pub fn name(self) -> String {
        // SAFETY: S5.
        setting_text(unsafe { (*self.0).server_hostname })
    }

    /// `Timeout`.
    #[must_use]
    pub fn timeout(self) -> Duration {
        // SAFETY: S5.
        let microseconds = unsafe { (*self.0).timeout };
        Duration::from_micros(microseconds.max(0).unsigned_abs())
    }

    /// Descriptor of its error log, where that is a file or pipe of its own.
    #[must_use]
    pub fn error_log(self) -> Option<c_int> {
        let mut descriptor = -1;
        // SAFETY: S5: null, or an open file.
        unsafe {
            let log = (*self.0).error_log;
            let found = !log.is_null()
                && sys::apr_os_file_get(&raw mut descriptor, log) == sys::APR_SUCCESS;
            (found && descriptor >= 0).then_some(descriptor)
        }
    }

    /// The next one, after the main server the virtual hosts.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        // SAFETY: S5.
        let next = unsafe { (*self.0).next };
        (!next.is_null()).then_some(Self(next))
    }

    /// The module's configuration for it.
    #[must_use]
    pub fn config<'c, T>(self, index: c_int) -> Option<&'c mut T> {
        // SAFETY: S5; the module made its own slot by `Pool::keep`, and httpd
        // reads configuration on one thread (S4).
        unsafe { sys::module_config((*self.0).module_config, index).cast::<T>().as_mut() }
    }
}

/// A directive as it stands in the configuration.
pub struct Directive<'c> {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, quotes taken off.
    pub words: Vec<String>,
    /// What stands after each of them, as it is written.
    pub rests: Vec<String>,
    /// All that stands after its name, as it is written.
    pub arguments: String,
    /// The server that it stands in.
    pub server: Server,
    /// Memory that lives as long as the configuration.
    pub pool: Pool,
    /// Whether it stands in an `.htaccess` file, which is read while requests are
    /// served: the configuration of servers must not change then.
    pub in_htaccess: bool,
    /// The raw record.
    pub raw: &'c mut sys::cmd_parms,
}

impl Directive<'_> {
    /// A path, made absolute against ServerRoot.
    #[must_use]
    pub fn path(&self, text: &str) -> Option<String> {
        let text = self.pool.copy(text.as_bytes());
        // SAFETY: S2, S4.
        let path = unsafe { sys::ap_server_root_relative(self.pool.raw(), text) };
        bytes_of(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Reads the directives between the lines of a section.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn walk(&mut self) -> Result<(), String> {
        // SAFETY: S4: httpd's own records.
        let wrong = unsafe {
            let section = (*self.raw.directive).first_child;
            sys::ap_walk_config(section, self.raw, self.raw.context)
        };
        if wrong.is_null() { Ok(()) } else { Err(setting_text(wrong)) }
    }
}

/// One directive: name, place, help and what it does. `D` is the module's
/// configuration of a folder.
pub struct Command<D> {
    /// Its name, as in the configuration.
    pub name: &'static str,
    /// Where it may stand.
    pub scope: Scope,
    /// What httpd shows when its form is wrong.
    pub help: &'static str,
    /// Sets what it says, or answers why not.
    pub apply: fn(&mut Directive<'_>, &mut D) -> Result<(), String>,
}

impl<D: 'static> Command<D> {
    /// httpd's table of all directives, ended as it wants it. It stays for the
    /// life of the loaded module.
    #[must_use]
    pub fn table(commands: Vec<Self>) -> *const sys::command_rec {
        let text = |text: &str| CString::new(text).unwrap_or_default().into_raw().cast_const();
        let mut table: Vec<sys::command_rec> = commands
            .leak()
            .iter()
            .map(|command| sys::command_rec {
                name: text(command.name),
                func: Some(apply::<D>),
                cmd_data: std::ptr::from_ref(command).cast_mut().cast(),
                req_override: command.scope.mask(),
                args_how: sys::RAW_ARGS,
                errmsg: text(command.help),
            })
            .collect();
        table.push(sys::command_rec {
            name: std::ptr::null(),
            func: None,
            cmd_data: std::ptr::null_mut(),
            req_override: 0,
            args_how: 0,
            errmsg: std::ptr::null(),
        });
        table.leak().as_ptr()
    }
}

/// What httpd calls for each directive of ours.
unsafe extern "C" fn apply<D: 'static>(
    parms: *mut sys::cmd_parms,
    section: *mut c_void,
    arguments: *const c_char,
) -> *const c_char {
    crate::enter("a directive", || {
        // SAFETY: S4: httpd hands in its own live records, and our own table's
        // and folder's data.
        let (parms, command, section) = unsafe {
            let parms = &mut *parms;
            let command = &*(*parms.cmd).cmd_data.cast::<Command<D>>();
            (parms, command, section.cast::<D>().as_mut())
        };
        // SAFETY: S2: the configuration's pool.
        let (Some(pool), Some(section)) = (unsafe { Pool::from_raw(parms.pool) }, section) else {
            return c"mod_wsgi was given no place for its configuration".as_ptr();
        };
        if command.scope == Scope::Global {
            // SAFETY: S4: httpd's own record; the text is its own.
            let wrong = unsafe { sys::ap_check_cmd_context(parms, sys::GLOBAL_ONLY) };
            if !wrong.is_null() {
                return wrong;
            }
        }
        let line = arguments;
        let (words, rests) = words_and_rests(pool, line).into_iter().unzip();
        let mut directive = Directive {
            name: command.name,
            words,
            rests,
            arguments: setting_text(line),
            server: Server(parms.server),
            pool,
            in_htaccess: parms.r#override & (sys::RSRC_CONF | sys::ACCESS_CONF) == 0,
            raw: parms,
        };
        match (command.apply)(&mut directive, section) {
            Ok(()) => std::ptr::null(),
            Err(text) => pool.copy(text.as_bytes()).cast_const(),
        }
    })
}

/// Words of a text, by httpd's own rules for quotes.
#[must_use]
pub fn words(pool: Pool, text: &[u8]) -> Vec<String> {
    let text = pool.copy(text);
    words_and_rests(pool, text).into_iter().map(|(word, _)| word).collect()
}

/// Arguments, by httpd's own rules for quotes, and what stands after each.
fn words_and_rests(pool: Pool, arguments: *const c_char) -> Vec<(String, String)> {
    let mut rest = arguments;
    let mut words = Vec::new();
    loop {
        // SAFETY: S4: the text ends in NUL; httpd moves `rest` along in it.
        let (word, at_end) = unsafe {
            if rest.is_null() || *rest == 0 {
                break;
            }
            let word = sys::ap_getword_conf(pool.raw(), &raw mut rest);
            (word, *word == 0)
        };
        // SAFETY: S4.
        if at_end && unsafe { *rest } == 0 {
            // Blanks at the end; an empty word in quotes says something.
            break;
        }
        words.push((setting_text(word), setting_text(rest)));
    }
    words
}

/// Whether a name was defined with -D, or by httpd itself.
#[must_use]
pub fn is_defined(name: &CStr) -> bool {
    // SAFETY: S4: a text that ends in NUL.
    unsafe { sys::ap_exists_config_define(name.as_ptr()) != 0 }
}

/// Text of the configuration.
#[must_use]
pub fn setting_text(text: *const c_char) -> String {
    bytes_of(text).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

/// Whether a directive stands somewhere in the configuration, `.htaccess` files
/// apart.
#[must_use]
pub fn is_configured(directive: &CStr) -> bool {
    // SAFETY: S4: the tree, while httpd starts.
    is_in_tree(directive, unsafe { sys::ap_conftree })
}

fn is_in_tree(directive: &CStr, mut node: *const sys::ap_directive_t) -> bool {
    // SAFETY: S4: the tree's own nodes; a null ends a list.
    while let Some(entry) = unsafe { node.as_ref() } {
        let is_it = bytes_of(entry.directive)
            .is_some_and(|name| name.eq_ignore_ascii_case(directive.to_bytes()));
        if is_it || is_in_tree(directive, entry.first_child) {
            return true;
        }
        node = entry.next;
    }
    false
}
