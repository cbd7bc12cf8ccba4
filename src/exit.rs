//! Exit codes. The same table stands in the README; a test compares the two.

/// Done.
pub const DONE: u8 = 0;
/// The command line, or something that it names, is not usable.
pub const USAGE: u8 = 2;
/// A recipe or lock file is wrong, or asks for what cannot be.
pub const RECIPE: u8 = 10;
/// No source answered.
pub const NETWORK: u8 = 20;
/// Bytes are not the ones that the recipe pins, or a signature is wrong.
pub const CHECKSUM: u8 = 21;
/// An archive was refused, or a patch does not apply.
pub const UNPACK: u8 = 30;
/// The machine lacks something, or a configure step failed.
pub const CONFIGURE: u8 = 40;
/// A compile step failed.
pub const COMPILE: u8 = 41;
/// Staging, checking or switching failed; the old tree still serves.
pub const INSTALL: u8 = 50;
/// A module could not be built or installed.
pub const MODULE: u8 = 60;
/// Added to the signal's number when one ended the run, as shells do.
pub const SIGNAL: u8 = 128;

/// Every code with its meaning, in the README's words.
pub const TABLE: &[(u8, &str)] = &[
    (DONE, "done"),
    (USAGE, "usage: an option, or something that it names, is wrong"),
    (RECIPE, "a recipe or lock file is wrong"),
    (NETWORK, "no source answered"),
    (CHECKSUM, "a checksum or signature is wrong"),
    (UNPACK, "an archive was refused or a patch does not apply"),
    (CONFIGURE, "something is missing on the machine, or a configure step failed"),
    (COMPILE, "a compile step failed"),
    (INSTALL, "staging, checking, switching or verifying failed"),
    (MODULE, "a module could not be built or installed, ours or one for `apxs`"),
];
