//! Environs that are copied: most of what a request has, the one before it had
//! as well. A copy of a dictionary costs far less than its thirty texts.

use std::sync::Mutex;

use cpython::{Attached, Object, Result, ffi};
use wsgi::key::Key;

use crate::world::{Kept, World};

/// The values that a request has, by key.
pub(crate) type Values<'a> = [Option<&'a [u8]>; Key::COUNT];

/// The environs of one interpreter that new ones are copied from.
#[derive(Default)]
pub(crate) struct Templates(Mutex<Vec<Template>>);

/// An environ as one request had it: with all its keys, and the values that may be
/// kept.
struct Template {
    /// Which keys it has, one bit each.
    keys: u128,
    values: Vec<(Key, Box<[u8]>)>,
    environ: Kept,
}

const _: () = assert!(Key::COUNT <= 128);

impl Templates {
    /// A new environ with these values. Other keys may be in it, of values that the
    /// caller sets for each request.
    pub(crate) fn environ<'py>(
        &self,
        py: Attached<'py>,
        world: &World,
        values: &Values<'_>,
    ) -> Result<Object<'py>> {
        let keys = keys_of(values);
        // Copying may run code, and let go of Python's lock: nobody waits for this
        // one with that in hand.
        if let Ok(mut all) = self.0.try_lock() {
            if let Some(template) = all.iter().find(|template| template.keys == keys)
                && let Some(environ) = template.copy(py, world, values)?
            {
                return Ok(environ);
            }
            let environ = plain(py, world, values)?;
            all.retain(|template| template.keys != keys);
            all.truncate(MOST - 1);
            all.insert(0, Template::of(py, world, &environ, values)?);
            return Ok(environ);
        }
        plain(py, world, values)
    }
}

impl Template {
    fn of(
        py: Attached<'_>,
        world: &World,
        environ: &Object<'_>,
        values: &Values<'_>,
    ) -> Result<Self> {
        let kept = copy(py, environ)?;
        let mut texts = Vec::new();
        for (key, value) in pairs(values) {
            if key.is_of_one_request() || value.len() > LONGEST {
                // The key alone is kept: its value is set in each copy.
                kept.set_item(&world.known(py, key)?, &crate::types::none(py)?)?;
            } else {
                texts.push((key, value.into()));
            }
        }
        // Room for what is set in each copy, so that it need not grow.
        for key in SET_IN_EACH {
            kept.set_item(&world.known(py, key)?, &crate::types::none(py)?)?;
        }
        Ok(Self { keys: keys_of(values), values: texts, environ: Kept::new(kept) })
    }

    /// A copy with these values; none if too many differ.
    fn copy<'py>(
        &self,
        py: Attached<'py>,
        world: &World,
        values: &Values<'_>,
    ) -> Result<Option<Object<'py>>> {
        let mut same: u128 = 0;
        for (key, text) in &self.values {
            if values[*key as usize] == Some(&**text) {
                same |= bit(*key);
            }
        }
        if (self.values.len() as u32).saturating_sub(same.count_ones()) > MOST_DIFFERENT {
            return Ok(None);
        }
        let environ = copy(py, &self.environ.get(py)?)?;
        for (key, value) in pairs(values) {
            if same & bit(key) == 0 {
                environ.set_item(&world.known(py, key)?, &value_of(py, key, value)?)?;
            }
        }
        Ok(Some(environ))
    }
}

/// An environ from the interpreter's constants and these values.
fn plain<'py>(py: Attached<'py>, world: &World, values: &Values<'_>) -> Result<Object<'py>> {
    let environ = copy(py, &world.constants(py)?)?;
    for (key, value) in pairs(values) {
        environ.set_item(&world.known(py, key)?, &value_of(py, key, value)?)?;
    }
    Ok(environ)
}

/// A value as Python sees it.
pub(crate) fn value_of<'py>(py: Attached<'py>, key: Key, value: &[u8]) -> Result<Object<'py>> {
    if key.is_path() { Object::path(py, value) } else { Object::latin1(py, value) }
}

fn copy<'py>(py: Attached<'py>, environ: &Object<'py>) -> Result<Object<'py>> {
    // SAFETY: S3: a dictionary; a new reference.
    unsafe { Object::from_new(py, ffi::PyDict_Copy(environ.raw())) }
}

fn pairs<'v>(values: &'v Values<'_>) -> impl Iterator<Item = (Key, &'v [u8])> {
    Key::ALL.iter().zip(values).filter_map(|(key, value)| Some((*key, (*value)?)))
}

fn keys_of(values: &Values<'_>) -> u128 {
    pairs(values).fold(0, |keys, (key, _)| keys | bit(key))
}

fn bit(key: Key) -> u128 {
    1 << key as u32
}

/// What each request has of its own, and Python's side makes.
const SET_IN_EACH: [Key; 6] = [
    Key::WsgiErrors,
    Key::WsgiInput,
    Key::WsgiUrlScheme,
    Key::ThreadId,
    Key::RequestStart,
    Key::ApplicationStart,
];

/// Templates of one interpreter: requests of browsers, of a monitor, of an API.
const MOST: usize = 8;
/// Values of a copy that are set anew, before another template is worth it.
const MOST_DIFFERENT: u32 = 10;
/// Longer values are not kept.
const LONGEST: usize = 256;
