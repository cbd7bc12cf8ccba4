//! Environs that are copied: most of what a request has, the one before it had
//! as well. A copy of a dictionary costs far less than its thirty texts.

use std::sync::Mutex;

use cpython::{Attached, Object, Result, ffi};
use door::{BY_NAME, Variable};
use wsgi::key::Key;

use crate::types::none;
use crate::world::{Kept, World};

/// The values that a request has, by key.
pub(crate) type Values<'a> = [Option<&'a [u8]>; Key::COUNT];

/// The environs of one interpreter that new ones are copied from.
#[derive(Default)]
pub(crate) struct Templates(Mutex<Known>);

#[derive(Default)]
struct Known {
    all: Vec<Template>,
    misses: u32,
}

/// An environ as one request had it: with all its keys, and the values that may be
/// kept.
struct Template {
    /// Which numbered keys it has, one bit each.
    keys: u128,
    values: Vec<(Key, Box<[u8]>)>,
    /// The other keys, in their order.
    names: Vec<(Box<[u8]>, Kept)>,
    environ: Kept,
}

const _: () = assert!(Key::COUNT <= 128);

/// What a request has.
pub(crate) struct Wanted<'a> {
    /// Values of numbered keys.
    pub(crate) values: &'a Values<'a>,
    /// All variables; those without a number are taken from here.
    pub(crate) variables: &'a [Variable<'a>],
}

impl<'a> Wanted<'a> {
    fn named(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let named = self.variables.iter().filter(|variable| variable.key == BY_NAME);
        named.map(|variable| (variable.name.bytes(), variable.value.bytes()))
    }
}

impl Templates {
    /// A new environ with these values. Other keys may be in it, of values that the
    /// caller sets for each request.
    pub(crate) fn environ<'py>(
        &self,
        py: Attached<'py>,
        world: &World,
        wanted: &Wanted<'_>,
    ) -> Result<Object<'py>> {
        // Copying may run code, and let go of Python's lock: nobody waits for this
        // one with that in hand.
        let Ok(mut known) = self.0.try_lock() else { return plain(py, world, wanted) };
        let keys = keys_of(wanted.values);
        let found = known.all.iter().position(|template| template.is_for(keys, wanted));
        if let Some(index) = found
            && let Some(environ) = known.all[index].copy(py, world, wanted)?
        {
            return Ok(environ);
        }
        let environ = plain(py, world, wanted)?;
        known.misses += 1;
        // A template costs more than it saves if each request is another one.
        if known.misses.is_multiple_of(MISSES) {
            let template = Template::of(py, world, &environ, wanted)?;
            let old = found.or((known.all.len() == MOST).then_some(MOST - 1));
            if let Some(index) = old {
                known.all.remove(index).drop_in(py);
            }
            known.all.insert(0, template);
        }
        Ok(environ)
    }
}

impl Template {
    fn of(
        py: Attached<'_>,
        world: &World,
        environ: &Object<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Self> {
        let kept = copy(py, environ)?;
        let nothing = none(py)?;
        let mut values = Vec::new();
        for (key, value) in pairs(wanted.values) {
            if key.is_of_one_request() || value.len() > LONGEST {
                // The key alone is kept: its value is set in each copy.
                kept.set_item(&world.known(py, key)?, &nothing)?;
            } else {
                values.push((key, value.into()));
            }
        }
        let mut names = Vec::new();
        for (name, _) in wanted.named() {
            let key = world.key(py, name)?;
            kept.set_item(&key, &nothing)?;
            names.push((name.into(), Kept::new(key)));
        }
        // Room for what is set in each copy, so that it need not grow.
        for key in SET_IN_EACH {
            kept.set_item(&world.known(py, key)?, &nothing)?;
        }
        Ok(Self { keys: keys_of(wanted.values), values, names, environ: Kept::new(kept) })
    }

    fn drop_in(self, py: Attached<'_>) {
        drop(self.environ.take(py));
        for (_, key) in self.names {
            drop(key.take(py));
        }
    }

    fn is_for(&self, keys: u128, wanted: &Wanted<'_>) -> bool {
        self.keys == keys
            && self.names.iter().map(|(name, _)| &**name).eq(wanted.named().map(|(name, _)| name))
    }

    /// A copy with these values; none if too many differ.
    fn copy<'py>(
        &self,
        py: Attached<'py>,
        world: &World,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Object<'py>>> {
        let mut same: u128 = 0;
        for (key, text) in &self.values {
            if wanted.values[*key as usize] == Some(&**text) {
                same |= bit(*key);
            }
        }
        let different = self.values.len().saturating_sub(same.count_ones() as usize);
        if different > MOST_DIFFERENT {
            return Ok(None);
        }
        let environ = copy(py, &self.environ.get(py)?)?;
        for (key, value) in pairs(wanted.values) {
            if same & bit(key) == 0 {
                environ.set_item(&world.known(py, key)?, &value_of(py, key, value)?)?;
            }
        }
        for ((_, key), (_, value)) in self.names.iter().zip(wanted.named()) {
            environ.set_item(&key.get(py)?, &Object::latin1(py, value)?)?;
        }
        Ok(Some(environ))
    }
}

/// An environ from the interpreter's constants and these values.
fn plain<'py>(py: Attached<'py>, world: &World, wanted: &Wanted<'_>) -> Result<Object<'py>> {
    let environ = copy(py, &world.constants(py)?)?;
    add(py, world, &environ, wanted)?;
    Ok(environ)
}

/// Adds these values to an environ.
pub(crate) fn add(
    py: Attached<'_>,
    world: &World,
    environ: &Object<'_>,
    wanted: &Wanted<'_>,
) -> Result<()> {
    for (key, value) in pairs(wanted.values) {
        environ.set_item(&world.known(py, key)?, &value_of(py, key, value)?)?;
    }
    for (name, value) in wanted.named() {
        environ.set_item(&world.key(py, name)?, &Object::latin1(py, value)?)?;
    }
    Ok(())
}

/// A value as Python sees it.
fn value_of<'py>(py: Attached<'py>, key: Key, value: &[u8]) -> Result<Object<'py>> {
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
const MOST_DIFFERENT: usize = 10;
/// Of so many requests that no template is for, one becomes one.
const MISSES: u32 = 4;
/// Longer values are not kept.
const LONGEST: usize = 256;
