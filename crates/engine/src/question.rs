//! Functions of scripts that decide about a request: who may see it, who its user
//! is, where it is handled.

use cpython::{Attached, Object, Raised, Result, ffi};
use door::{Answer, Answers, Question, Sink};

use crate::exception::{self, clear};
use crate::types::{Handle, bytes_of, is_text, latin1_of, utf8_of};
use crate::world::World;
use crate::{current, environ, script};

/// Asks a function of a script. Texts of the answer go to the sink.
pub fn ask(question: &Question<'_>, mut sink: Sink<'_>) -> Answer {
    let name = String::from_utf8_lossy(question.script.application_group.bytes());
    current::with_exchange(question.exchange, || {
        let Some(world) = World::find(&name) else { return Answer::NotLoaded };
        current::with_script(question.filename.bytes(), || {
            world.interpreter.attach(|py| ask_in(py, &world, question, &mut sink))
        })
    })
}

fn ask_in(py: Attached<'_>, world: &World, question: &Question<'_>, sink: &mut Sink<'_>) -> Answer {
    let Some(module) = script::module(py, world, &question.script) else {
        return Answer::NotLoaded;
    };
    let function =
        Object::latin1(py, question.function.bytes()).and_then(|name| module.attribute_of(&name));
    let Ok(function) = function else {
        clear(py);
        return Answer::NoFunction;
    };
    current::calling(|| call(py, world, &function, question))
        .and_then(|answer| read(py, world, &answer, question, sink))
        .unwrap_or_else(|Raised| {
            exception::log(py, world, question.script.path.bytes());
            Answer::Raised
        })
}

fn call<'py>(
    py: Attached<'py>,
    world: &World,
    function: &Object<'py>,
    question: &Question<'_>,
) -> Result<Object<'py>> {
    let environ = environ::of_pairs(py, world, question.environ.items())?;
    let errors = world.take_errors(py)?;
    environ.set_item(&world.key(py, b"wsgi.errors")?, &errors)?;
    let connection = Handle::make(py, &world.types.connection, question.exchange)?;
    if question.knows_tls {
        for (key, method) in
            [(&b"mod_ssl.is_https"[..], c"is_https"), (b"mod_ssl.var_lookup", c"var_lookup")]
        {
            environ.set_item(&world.key(py, key)?, &connection.attribute(method)?)?;
        }
        world.add_versions(py, &environ)?;
    }
    let mut arguments = vec![environ];
    for text in question.arguments.items() {
        arguments.push(Object::latin1(py, text.bytes())?);
    }
    let result = function.call(&arguments.iter().collect::<Vec<_>>());
    Handle::expire(&connection);
    drop(arguments);
    let held = exception::Held::take();
    if world.give_errors_back(py, errors).is_err() {
        // A log that cannot be flushed is nobody's failure.
        clear(py);
    }
    held.put_back();
    result
}

/// What an answer means.
fn read(
    py: Attached<'_>,
    world: &World,
    answer: &Object<'_>,
    question: &Question<'_>,
    sink: &mut Sink<'_>,
) -> Result<Answer> {
    let flags = matches!(question.answers, Answers::Flag | Answers::FlagOrText);
    // SAFETY: S3: three objects that always live.
    let (nothing, yes, no) = unsafe { (ffi::Py_None(), ffi::Py_True(), ffi::Py_False()) };
    match question.answers {
        Answers::List => return read_list(py, world, answer, question, sink),
        _ if answer.is(nothing) => return Ok(Answer::Nothing),
        _ if flags && answer.is(yes) => return Ok(Answer::Yes),
        _ if flags && answer.is(no) => return Ok(Answer::No),
        Answers::FlagOrText if is_text(answer) => sink.put(utf8_of(answer)?.as_bytes()),
        Answers::Bytes => return read_bytes(py, world, answer, question, sink),
        Answers::Flag | Answers::FlagOrText => return Ok(Answer::Other),
    }
    Ok(Answer::Texts)
}

/// Bytes, or a text in latin-1. One that has no such form is logged.
fn read_bytes(
    py: Attached<'_>,
    world: &World,
    answer: &Object<'_>,
    question: &Question<'_>,
    sink: &mut Sink<'_>,
) -> Result<Answer> {
    match bytes_of(answer) {
        Some(bytes) => sink.put(bytes),
        None if !is_text(answer) => return Ok(Answer::Other),
        None => match latin1_of(answer) {
            Ok(bytes) => sink.put(&bytes),
            Err(Raised) => {
                exception::log(py, world, question.script.path.bytes());
                return Ok(Answer::NotLatin1);
            }
        },
    }
    Ok(Answer::Texts)
}

fn read_list(
    py: Attached<'_>,
    world: &World,
    answer: &Object<'_>,
    question: &Question<'_>,
    sink: &mut Sink<'_>,
) -> Result<Answer> {
    // SAFETY: S3; a new reference.
    let Ok(iterator) = (unsafe { Object::from_new(py, ffi::PyObject_GetIter(answer.raw())) })
    else {
        exception::log(py, world, question.script.path.bytes());
        return Ok(Answer::NotIterable);
    };
    while let Some(item) = iterator.next()? {
        match read_bytes(py, world, &item, question, sink)? {
            Answer::Texts => {}
            other => return Ok(other),
        }
    }
    Ok(Answer::Texts)
}
