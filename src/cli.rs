//! The command line: every option once, with its help and its default.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::plan::{Profile, Tls};
use crate::source::Origin;

/// Builds a verified, private, relocatable Apache httpd for mod_wsgi.
#[derive(Debug, Parser)]
#[command(name = "mod_wsgi-httpd", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// One JSON object a line on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// No steps: results, warnings and errors only.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Addresses and commands tried as well.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Folder of recipes, instead of the built-in ones.
    #[arg(long, global = true, value_name = "DIR")]
    pub recipes: Option<PathBuf>,
    /// Cache of archives and artefacts [default: the user's cache folder].
    #[arg(long, global = true, value_name = "DIR", env = "MOD_WSGI_HTTPD_CACHE")]
    pub cache: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch, verify, build, check and switch to a private httpd.
    Install(InstallArgs),
    /// Show what `install` would build and where it would come from.
    Plan(RequestArgs),
    /// Fill the cache.
    Fetch(RequestArgs),
    /// Fill a folder with all that an install without network needs.
    Vendor(VendorArgs),
    /// Say what would change, or install again with the features and TLS of the last time.
    Update(UpdateArgs),
    /// Go back to the previous tree.
    Rollback(PlaceArgs),
    /// Share an installed tree with other machines.
    Push(PushArgs),
    /// Install a tree that another machine has built.
    Pull(PullArgs),
    /// Remove all that was installed; files of others stay.
    Uninstall(PlaceArgs),
    /// Free what can be made or fetched again.
    Clean(CleanArgs),
    /// Look whether this machine can build httpd, and what to install if not.
    Doctor(DoctorArgs),
    /// Those that change nothing.
    #[command(flatten)]
    Look(Look),
    /// Print the recipe's lines for a release that it does not know yet.
    Pin(PinArgs),
    /// Print a completion script.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or write one page a command into a folder.
    Man {
        /// The folder.
        folder: Option<PathBuf>,
    },
}

/// The commands that change nothing: these are all that a package has.
#[derive(Debug, Subcommand)]
pub enum Look {
    /// Compare the installed files with their manifest.
    Verify(PlaceArgs),
    /// List the installed trees.
    List(PlaceArgs),
    /// Print facts of the installed httpd, for scripts.
    Info(InfoArgs),
    /// List what the installed httpd is made of, as CycloneDX.
    Sbom(SbomArgs),
    /// Compile and install extension modules; options as of apxs(1).
    #[command(disable_help_flag = true)]
    Apxs {
        /// See `mod_wsgi-httpd apxs -h`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// Serve applications: the launcher, also called `mod_wsgi-express`.
    #[command(disable_help_flag = true)]
    Express {
        /// See `mod_wsgi-express --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
}

/// Where the result goes.
#[derive(Clone, Debug, Args)]
pub struct PlaceArgs {
    /// Base folder [default: under the Python's prefix].
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PathBuf>,
    /// Python whose prefix it goes under, and that applications run in [default: $VIRTUAL_ENV, then python3].
    #[arg(long, value_name = "PYTHON")]
    pub python: Option<String>,
}

/// What is built, and from which sources.
#[derive(Clone, Debug, Args)]
pub struct RequestArgs {
    /// Features to switch on, or off with a leading `-`: http2, deflate, brotli, tls, module.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, value_name = "LIST")]
    pub features: Vec<String>,
    /// Start without the default features.
    #[arg(long)]
    pub no_default_features: bool,
    /// Where OpenSSL comes from [default: private].
    #[arg(long, value_enum)]
    pub tls: Option<Tls>,
    /// Build this release of a component, for example `httpd=2.4.68`.
    #[arg(long = "release", value_name = "NAME=VERSION")]
    pub releases: Vec<String>,
    /// C compiler: one program [default: what is found].
    #[arg(long, env = "CC", value_name = "PROGRAM")]
    pub cc: Option<String>,
    /// Who builds: `direct` compiles by itself, `upstream` runs configure and make.
    #[arg(long, default_value = crate::engine::DEFAULT, value_name = "NAME")]
    pub engine: String,
    /// How it is compiled.
    #[arg(long, value_enum, default_value_t)]
    pub profile: Profile,
    /// Folder of archives and crates, asked first.
    #[arg(long, value_name = "DIR")]
    pub vendor: Option<PathBuf>,
    /// Mirror: `<URL>/<sha256>`, then `<URL>/<file name>`. May be repeated.
    #[arg(long = "mirror", value_name = "URL")]
    pub mirrors: Vec<String>,
    /// Origins that may be asked.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Origin::ORDER)]
    pub sources: Vec<Origin>,
    /// Never touch the network.
    #[arg(long)]
    pub offline: bool,
    /// Suite of the distribution to ask besides the machine's own.
    #[arg(long = "suite", value_name = "NAME")]
    pub suites: Vec<String>,
    /// Longest wait for the next byte, in seconds.
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// Take exactly the releases of a lock file.
    #[arg(long)]
    pub locked: bool,
    /// The lock file [default: the vendor folder's, then the base folder's].
    #[arg(long, value_name = "FILE", requires = "locked")]
    pub lock: Option<PathBuf>,
    /// Name no Python in the module: it finds one of its version where it is taken to.
    #[arg(long)]
    pub portable: bool,
    /// Take releases with known holes from every source.
    #[arg(long)]
    pub allow_vulnerable: bool,
    /// The Python of the last install, where `--python` names none.
    #[arg(skip)]
    pub python_of_last_time: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub place: PlaceArgs,
}

/// Options of `install`.
#[derive(Clone, Debug, Args)]
pub struct InstallArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub request: RequestArgs,
    /// Most processes at once [default: the number of processors].
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Start the compiler by this program: ccache, sccache, distcc.
    #[arg(long, value_name = "PROGRAM")]
    pub launcher: Option<String>,
    /// Build again what is already installed.
    #[arg(long)]
    pub force: bool,
    /// Folder to build in: plain letters, programs may run [default: $TMPDIR, /tmp].
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
}

/// Options of `vendor`.
#[derive(Clone, Debug, Args)]
pub struct VendorArgs {
    /// The folder; made if need be.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub request: RequestArgs,
}

/// Options of `update`.
#[derive(Clone, Debug, Args)]
pub struct UpdateArgs {
    /// Say what would change; change nothing.
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub install: InstallArgs,
}

/// Options of `push`.
#[derive(Clone, Debug, Args)]
pub struct PushArgs {
    /// The store: a folder, or oci://HOST/NAME.
    pub store: String,
    /// Plan hash of the tree [default: the one in use].
    pub plan: Option<String>,
    /// Secret key of minisign that signs the store's index.
    #[arg(long, value_name = "FILE", env = "MOD_WSGI_HTTPD_STORE_KEY")]
    pub key: Option<PathBuf>,
    /// Make such a key, without a password, and beside it the public one, FILE.pub.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub new_key: Option<PathBuf>,
    /// Sign nothing: whoever can write to the store can then run programs wherever it is pulled.
    #[arg(long, conflicts_with_all = ["key", "new_key"])]
    pub unsigned: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub place: PlaceArgs,
}

/// Options of `pull`.
#[derive(Clone, Debug, Args)]
pub struct PullArgs {
    /// The store: a folder, https://…, or oci://HOST/NAME.
    pub store: String,
    /// Plan hash of the tree [default: the newest built for what the other options ask].
    pub plan: Option<String>,
    /// Public key of minisign that the store's index must be signed by: a file, or its last line.
    #[arg(long, value_name = "KEY", env = "MOD_WSGI_HTTPD_STORE_PUBLIC_KEY")]
    pub public_key: Option<String>,
    /// Take what is there, whoever made it.
    #[arg(long, conflicts_with = "public_key")]
    pub unsigned: bool,
    /// List what is there; install nothing.
    #[arg(long)]
    pub list: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub request: RequestArgs,
}

/// Options of `doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Print instead what the direct engine has asked this machine's compiler, and how
    /// each answer was found.
    #[arg(long)]
    pub probe: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub request: RequestArgs,
}

/// Options of `clean`: logs, parts of archives and leftovers of killed runs
/// always go.
#[derive(Clone, Debug, Args)]
pub struct CleanArgs {
    /// Archives in the cache, too.
    #[arg(long)]
    pub sources: bool,
    /// Built libraries, objects and trees in the cache, too.
    #[arg(long)]
    pub builds: bool,
    /// Those of them that nothing has used for so many days.
    #[arg(long, value_name = "DAYS")]
    pub unused: Option<u32>,
    /// Installed trees other than the one in use, too.
    #[arg(long)]
    pub trees: bool,
    /// All of these.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub place: PlaceArgs,
}

/// Options of `info`.
#[derive(Clone, Debug, Args)]
pub struct InfoArgs {
    /// One fact; all of them when absent.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub place: PlaceArgs,
}

/// Options of `sbom`.
#[derive(Clone, Debug, Args)]
pub struct SbomArgs {
    /// File to write [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub place: PlaceArgs,
}

/// Options of `pin`.
#[derive(Clone, Debug, Args)]
pub struct PinArgs {
    /// The component.
    #[arg(value_name = "COMPONENT")]
    pub name: String,
    /// The release.
    #[arg(value_name = "VERSION")]
    pub version: String,
    /// The archive, instead of fetching it.
    #[arg(long, value_name = "FILE")]
    pub archive: Option<PathBuf>,
    /// Its detached signature, instead of fetching it.
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Take it although nothing but its digest vouches for it.
    #[arg(long)]
    pub without_signature: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented at its type")]
    pub request: RequestArgs,
}
