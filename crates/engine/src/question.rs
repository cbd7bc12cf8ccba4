//! Functions of scripts that decide about a request: who may see it, who its user
//! is, where it is handled.

use cpython::{Attached, Object, Raised, Result, ffi};
use door::{Answer, Answered, Answers, Question, Sink};
use wsgi::key::Key;

use crate::exception::{self, clear};
use crate::types::{Handle, bytes_of, is_text, latin1_of, utf8_of};
use crate::world::World;
use crate::{current, environ, script};

/// Asks functions of a script. Texts of the answers go to the sink.
pub fn ask(question: &Question<'_>, mut sink: Sink<'_>) -> Answered {
    let name = question.script.application_group.bytes();
    current::with_exchange(question.exchange, || {
        let Some(world) = World::find(name) else { return NOT_LOADED };
        current::with_script(question.filename.bytes(), || {
            world.interpreter.attach(|py| ask_in(py, &world, question, &mut sink))
        })
    })
}

const NOT_LOADED: Answered = Answered { number: 0, answer: Answer::NotLoaded };

fn ask_in(
    py: Attached<'_>,
    world: &World,
    question: &Question<'_>,
    sink: &mut Sink<'_>,
) -> Answered {
    let path = || question.script.path.bytes();
    let Ok(module) = script::module(py, world, &question.script, path) else { return NOT_LOADED };
    let mut answered = NOT_LOADED;
    let asked = with_arguments(py, world, question, |arguments| {
        for (number, name) in question.functions.items().iter().enumerate() {
            let function =
                Object::latin1(py, name.bytes()).and_then(|name| module.attribute_of(&name));
            let answer = match function {
                Ok(function) => call(py, world, &function, arguments, question, |text| {
                    sink.put(number, text);
                }),
                Err(Raised) => {
                    clear(py);
                    Answer::NoFunction
                }
            };
            answered = Answered { number, answer };
            if !answer.lets_go_on() {
                break;
            }
        }
    });
    if asked.is_err() {
        exception::log(py, world, question.script.path.bytes());
    }
    answered
}

/// Makes the arguments, which all functions share, and ends what must not outlive
/// the request.
fn with_arguments(
    py: Attached<'_>,
    world: &World,
    question: &Question<'_>,
    ask: impl FnOnce(&[&Object<'_>]),
) -> Result<()> {
    let environ = environ::of_variables(py, world, question.environ.items())?;
    let errors = world.take_errors(py)?;
    environ.set_item(&world.known(py, Key::WsgiErrors)?, &errors.0)?;
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
    current::calling(|| ask(&arguments.iter().collect::<Vec<_>>()));
    Handle::expire(py, &connection);
    drop(arguments);
    world.give_errors_back(py, errors)
}

/// Calls a function. What it raises is logged.
fn call(
    py: Attached<'_>,
    world: &World,
    function: &Object<'_>,
    arguments: &[&Object<'_>],
    question: &Question<'_>,
    put: impl FnMut(&[u8]),
) -> Answer {
    let answer = function
        .call(arguments)
        .map_err(|Raised| Answer::Raised)
        .and_then(|answer| read(&answer, question.answers, put));
    answer.unwrap_or_else(|failure| {
        exception::log(py, world, question.script.path.bytes());
        failure
    })
}

/// What an answer means; what fails in asking for that leaves an exception set.
fn read(
    answer: &Object<'_>,
    wanted: Answers,
    mut put: impl FnMut(&[u8]),
) -> std::result::Result<Answer, Answer> {
    let flags = matches!(wanted, Answers::Flag | Answers::FlagOrText);
    // SAFETY: S3: three objects that always live.
    let (nothing, yes, no) = unsafe { (ffi::Py_None(), ffi::Py_True(), ffi::Py_False()) };
    match wanted {
        Answers::List => read_list(answer, put),
        _ if answer.is(nothing) => Ok(Answer::Nothing),
        _ if flags && answer.is(yes) => Ok(Answer::Yes),
        _ if flags && answer.is(no) => Ok(Answer::No),
        Answers::FlagOrText if is_text(answer) => {
            put(utf8_of(answer).map_err(|Raised| Answer::Raised)?.as_bytes());
            Ok(Answer::Texts)
        }
        Answers::Bytes => read_bytes(answer, put),
        Answers::Flag | Answers::FlagOrText => Ok(Answer::Other),
    }
}

/// Bytes, or a text in latin-1.
fn read_bytes(
    answer: &Object<'_>,
    mut put: impl FnMut(&[u8]),
) -> std::result::Result<Answer, Answer> {
    match bytes_of(answer) {
        Some(bytes) => put(bytes),
        None if !is_text(answer) => return Ok(Answer::Other),
        None => put(&latin1_of(answer).map_err(|Raised| Answer::NotLatin1)?),
    }
    Ok(Answer::Texts)
}

fn read_list(
    answer: &Object<'_>,
    mut put: impl FnMut(&[u8]),
) -> std::result::Result<Answer, Answer> {
    let iterator = answer.iterator().map_err(|Raised| Answer::NotIterable)?;
    while let Some(item) = iterator.next().map_err(|Raised| Answer::Raised)? {
        match read_bytes(&item, &mut put)? {
            Answer::Texts => {}
            other => return Ok(other),
        }
    }
    Ok(Answer::Texts)
}
