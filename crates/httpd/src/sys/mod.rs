//! Raw declarations, named as in the headers. Structs that end in fields which
//! we never touch are declared as prefixes and only ever seen through pointers;
//! [`LAYOUTS`] and [`SIGNATURES`] say the same to a C compiler.

mod check;
mod functions;
mod structs;

pub use check::c_checks;
pub use functions::*;
pub use structs::*;
