//! Options that say what lies at which URL, and who may see it.

use clap::Args;

use super::pairs;
use crate::error::{Error, Result};

/// Files and URLs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Files and URLs")]
pub struct Content {
    /// Folder of static files; they go before the application.
    #[arg(long, value_name = "DIRECTORY-PATH")]
    pub document_root: Option<String>,
    /// File that is served for a folder.
    #[arg(long, value_name = "FILE-NAME")]
    pub directory_index: Option<String>,
    /// List folders that have no such file.
    #[arg(long)]
    pub directory_listing: bool,
    /// What `.htaccess` files may change. May be repeated.
    #[arg(long, value_name = "DIRECTIVE-TYPE")]
    pub allow_override: Vec<String>,
    /// Serve a file or a folder at a URL path. May be repeated.
    #[arg(long, num_args = 2, value_names = ["URL-PATH", "FILE-PATH|DIRECTORY-PATH"])]
    pub url_alias: Vec<String>,
    /// Page for an error status. May be repeated.
    #[arg(long, num_args = 2, value_names = ["STATUS", "URL-PATH"])]
    pub error_document: Vec<String>,
    /// Replace the application's own error pages, too.
    #[arg(long)]
    pub error_override: bool,
    /// Pass files with this extension to a WSGI script. May be repeated.
    #[arg(long, num_args = 2, value_names = ["EXTENSION", "SCRIPT-PATH"])]
    pub add_handler: Vec<String>,
    /// Run CGI scripts (`.cgi`) below the document root.
    #[arg(long)]
    pub with_cgi: bool,
    /// Run PHP 5 files; needs libphp5.so.
    #[arg(long, hide = true)]
    pub with_php5: bool,
    /// Serve documentation at /__wsgi__/docs.
    #[arg(long)]
    pub enable_docs: bool,
    /// File with rewrite rules for the document root.
    #[arg(long, value_name = "FILE-PATH")]
    pub rewrite_rules: Option<String>,
    /// File that httpd's configuration ends with. May be repeated.
    #[arg(long, value_name = "FILE-PATH")]
    pub include_file: Vec<String>,
}

/// Servers behind this one, and in front of it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Proxies")]
pub struct Proxy {
    /// Pass requests below a URL path to another server. May be repeated.
    #[arg(long, num_args = 2, value_names = ["URL-PATH", "URL"])]
    pub proxy_mount_point: Vec<String>,
    /// The same, without redirects, as release 4.4.7 has it. May be repeated.
    #[arg(long, num_args = 2, value_names = ["URL-PATH", "URL"])]
    pub proxy_url_alias: Vec<String>,
    /// Pass requests for a host to another server; HTTP only. May be repeated.
    #[arg(long, num_args = 2, value_names = ["HOSTNAME", "URL"])]
    pub proxy_virtual_host: Vec<String>,
    /// Header in which a proxy in front tells about its client. May be repeated.
    #[arg(long, value_name = "HEADER-NAME")]
    pub trust_proxy_header: Vec<String>,
    /// Address of a proxy in front that is trusted. May be repeated.
    #[arg(long, value_name = "IP-ADDRESS/SUBNET")]
    pub trust_proxy: Vec<String>,
}

impl Proxy {
    pub(super) fn check(&self) -> Result<()> {
        for (option, list) in [
            ("--proxy-mount-point", &self.proxy_mount_point),
            ("--proxy-url-alias", &self.proxy_url_alias),
            ("--proxy-virtual-host", &self.proxy_virtual_host),
        ] {
            if let Some((_, target)) = pairs(list).find(|(_, target)| !is_whole(target)) {
                return Err(Error::usage(format!("option {option}: invalid value: '{target}'"))
                    .hint("a whole URL is needed, such as http://127.0.0.1:9000/"));
            }
        }
        Ok(())
    }
}

/// Whether a URL says what to speak, and with whom.
fn is_whole(url: &str) -> bool {
    let parts = url.split_once("://");
    parts.is_some_and(|(scheme, rest)| {
        !scheme.is_empty() && !rest.is_empty() && !rest.starts_with('/')
    })
}

/// Who may see what.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Access")]
pub struct Access {
    /// Script whose `allow_access()` decides about client hosts.
    #[arg(long, value_name = "SCRIPT-PATH")]
    pub host_access_script: Option<String>,
    /// Script whose `check_password()` or `get_realm_hash()` decides about users.
    #[arg(long, value_name = "SCRIPT-PATH")]
    pub auth_user_script: Option<String>,
    /// How users authenticate.
    #[arg(long, value_name = "TYPE", default_value = "Basic", ignore_case = true,
          value_parser = ["Basic", "Digest"])]
    pub auth_type: String,
    /// Script whose `groups_for_user()` names the groups of a user.
    #[arg(long, value_name = "SCRIPT-PATH")]
    pub auth_group_script: Option<String>,
    /// Group that users must be in.
    #[arg(long, value_name = "NAME", default_value = "wsgi")]
    pub auth_group: String,
}
