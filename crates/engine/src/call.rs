//! One request from the application's call to the end of its answer.

use cpython::{Attached, Object, Raised, Result};
use door::{BROKEN_OFF, CHANGED, Call, DONE, FAILED, NO_CALLABLE, Outcome, Script, Variable};
use wsgi::key::Key;

use crate::current::{self, level};
use crate::events::{self, Running};
use crate::exception::{self, Held, clear};
use crate::input::Input;
use crate::metrics::{Ended, Meter};
use crate::response::Response;
use crate::script::{self, Missing};
use crate::send::call_application;
use crate::types::Handle;
use crate::world::World;
use crate::{environ, timeout};

/// Loads a script before any request asks for it.
pub fn load(script: &Script<'_>) {
    let name = script.application_group.bytes();
    if let Some(world) = World::find(name) {
        world
            .interpreter
            .attach(|py| drop(script::module(py, &world, script, || script.path.bytes())));
    }
}

/// Answers a request.
pub fn handle(call: &Call<'_>) -> Outcome {
    let name = call.script.application_group.bytes();
    current::with_exchange(call.exchange, || {
        let Some(world) = World::find(name) else { return FAILED };
        let mut work = Work {
            world: &world,
            call,
            meter: Meter::start(environ::thread_id()),
            input: Input::new(call.exchange, call.body_length),
            response: Response::new(call.exchange),
        };
        let outcome = current::with_script(call.script.path.bytes(), || {
            world.interpreter.attach(|py| {
                world.drop_sent(py);
                work.serve(py)
            })
        });
        if let Some(last) = work.response.last.take() {
            last.send(call.exchange);
            world.drop_later(last.object);
        }
        outcome
    })
}

/// The file that a request is for: a script, unless a handler script answers for it.
fn asked_for<'a>(call: &Call<'a>) -> &'a [u8] {
    let names_it = |variable: &&Variable<'_>| variable.key == Key::ScriptFilename as u16;
    let found = call.environ.items().iter().rev().find(names_it);
    found.map_or_else(|| call.script.path.bytes(), |variable| variable.value.bytes())
}

/// A request at work in its interpreter.
struct Work<'a> {
    world: &'a World,
    call: &'a Call<'a>,
    meter: Meter,
    input: Input,
    response: Response,
}

impl Work<'_> {
    fn serve(&mut self, py: Attached<'_>) -> Outcome {
        let (world, call) = (self.world, self.call);
        let module = match script::module(py, world, &call.script, || asked_for(call)) {
            Ok(module) => module,
            Err(Missing::Failed) => return FAILED,
            Err(Missing::Changed) => return CHANGED,
        };
        let Some(application) = callable(py, world, &module, call) else { return NO_CALLABLE };
        let answered = current::calling(|| self.answer(py, &application));
        if let Some(way) = call.way {
            timeout::forget(py, way.interruption);
        }
        match answered {
            Ok(()) => DONE,
            Err(Raised) if call.way.is_some() && timeout::is_set(world) => {
                exception::clear(py);
                timeout::answer(&self.response)
            }
            Err(Raised) => {
                exception::log(py, world, call.script.path.bytes());
                if self.response.begun { BROKEN_OFF } else { FAILED }
            }
        }
    }

    /// Calls the application and sends what it yields. Objects that outlive the
    /// request find nothing behind them.
    fn answer(&mut self, py: Attached<'_>, application: &Object<'_>) -> Result<()> {
        let world = self.world;
        let (environ, facts) = environ::make(py, world, self.call)?;
        let errors = world.take_errors(py)?;
        environ.set_item(&world.known(py, Key::WsgiErrors)?, &errors.0)?;
        let body = Handle::make(py, &world.types.input, &raw mut self.input)?;
        environ.set_item(&world.known(py, Key::WsgiInput)?, &body)?;
        self.response.events = Some((std::ptr::from_ref(world), facts.request_id.raw()));
        let adapter = Handle::make(py, &world.types.response, &raw mut self.response)?;
        let running = Running::begin(py, world, &facts.request_id)?;
        let replaced = events::begins(py, world, &environ, application, &facts)?;
        let application = replaced.as_ref().unwrap_or(application);
        let result = call_application(py, world, application, &environ, &adapter);
        if result.is_err() {
            events::fails(py, world, &facts.request_id);
        }
        Handle::expire(py, &body);
        Handle::expire(py, &adapter);
        let held = Held::take();
        let used = self.meter.used();
        if let Some(used) = &used {
            let ended = Ended {
                request_start: facts.request_start,
                queue_start: facts.queue_start,
                daemon_start: facts.daemon_start,
                application_start: facts.application_start,
                application_finish: environ::now(),
                status: self.response.code(),
                input: self.input.traffic,
                output: self.response.traffic,
            };
            self.meter.sum_up(&ended, used);
        }
        let ended = events::ends(py, world, &facts, &self.input, &self.response, used.as_ref());
        running.end();
        drop(environ);
        if ended.and_then(|()| world.give_errors_back(py, errors)).is_err() {
            // A log that cannot be flushed is nobody's failure.
            clear(py);
        }
        held.put_back();
        result
    }
}

/// The application in its module.
fn callable<'py>(
    py: Attached<'py>,
    world: &World,
    module: &Object<'py>,
    call: &Call<'_>,
) -> Option<Object<'py>> {
    let name = call.callable.bytes();
    let find = || -> Result<Object<'py>> {
        let key = world.key(py, name)?;
        match module.name_in_module(&key)? {
            Some(found) => Ok(found),
            // A module may make its names when they are asked for (PEP 562).
            None => module.attribute_of(&key),
        }
    };
    let found = find();
    if found.is_err() {
        clear(py);
        let text = format!(
            "{}WSGI0089: Target WSGI script '{}' does not contain WSGI application '{}'.",
            current::shown(),
            String::from_utf8_lossy(call.script.path.bytes()),
            String::from_utf8_lossy(name)
        );
        current::log(level::ERROR, text.as_bytes());
    }
    found.ok()
}
