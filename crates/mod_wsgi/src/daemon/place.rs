//! A process that the supervisor has started, and the place in which one follows
//! another.

use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that was started.
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) control: OwnedFd,
    /// Readable once it has ended.
    pub(crate) life: OwnedFd,
    /// When what it knows of scripts began to be known, in microseconds since 1970: when
    /// it was started, or its zygote was.
    pub(crate) started: i64,
    /// When it was started, by the clock of timers.
    pub(crate) begin: Instant,
    pub(crate) is_ready: bool,
    /// Whether its end was asked for.
    pub(crate) is_ending: bool,
    /// Whether that was by SIGTERM: a second one would disturb a service in its end.
    pub(crate) is_terminated: bool,
    /// When it is ended by force.
    pub(crate) force: Option<Instant>,
}

impl Process {
    /// One that has just been started, with our end of its connection with us.
    pub(crate) fn new(pid: i32, control: OwnedFd) -> std::io::Result<Self> {
        let number = Pid::from_raw(pid).ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(Self {
            pid,
            control,
            life: pidfd_open(number, PidfdFlags::empty())?,
            started: super::relay::now(),
            begin: Instant::now(),
            is_ready: false,
            is_ending: false,
            is_terminated: false,
            force: None,
        })
    }

    /// The same process, whose end was asked for.
    pub(crate) fn ending(self, force: Option<Instant>) -> Self {
        Self { is_ending: true, force, ..self }
    }

    /// Sends a signal to it.
    pub(crate) fn signal(&self, signal: Signal) {
        // One that has ended is found out about by itself.
        let _ended = pidfd_send_signal(&self.life, signal);
    }

    /// Whether it has ended; nobody is kept from learning how.
    pub(crate) fn has_ended(&self) -> bool {
        super::reader::wait(&self.life, None, 0).0
    }
}

/// Where one process follows another.
#[derive(Default)]
pub(crate) struct Place {
    /// The one that serves, or starts to.
    pub(crate) current: Option<Process>,
    /// The one that is to take its place when it is ready.
    pub(crate) next: Option<Process>,
    /// The one that the zygote is to fork for either.
    pub(crate) ordered: Option<Ordered>,
    /// Those that finish what they have begun.
    pub(crate) former: Vec<Process>,
    /// Since when another one is wanted.
    pub(crate) wanted: Option<Instant>,
    /// How many starts have failed, one after the other, or ended soon.
    pub(crate) failures: u32,
    /// When it is tried again.
    pub(crate) retry: Option<Instant>,
}

/// A process that a zygote was told to fork.
pub(crate) struct Ordered {
    pub(crate) role: Role,
    /// Our end of its connection with us.
    pub(crate) control: OwnedFd,
    /// The pid of the zygote.
    pub(crate) zygote: i32,
    /// When the zygote has to have done it.
    pub(crate) deadline: Instant,
}

/// Which one of a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Current,
    Next,
    Former,
}

impl Place {
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.current.iter().chain(&self.next).chain(&self.former)
    }

    pub(crate) fn processes_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.current.iter_mut().chain(&mut self.next).chain(&mut self.former)
    }

    /// Whether nobody has it or is about to.
    pub(crate) fn is_vacant(&self) -> bool {
        self.current.is_none() && self.next.is_none() && self.ordered.is_none()
    }

    /// Whether another process is on its way to it.
    pub(crate) fn has_next(&self) -> bool {
        self.next.is_some() || self.ordered.is_some()
    }

    pub(crate) fn role_of(&self, pid: i32) -> Option<Role> {
        let is_it = |process: &Process| process.pid == pid;
        if self.current.as_ref().is_some_and(is_it) {
            Some(Role::Current)
        } else if self.next.as_ref().is_some_and(is_it) {
            Some(Role::Next)
        } else {
            self.former.iter().any(is_it).then_some(Role::Former)
        }
    }

    pub(crate) fn take(&mut self, pid: i32) -> Option<Process> {
        match self.role_of(pid)? {
            Role::Current => self.current.take(),
            Role::Next => self.next.take(),
            Role::Former => {
                let index = self.former.iter().position(|process| process.pid == pid)?;
                Some(self.former.swap_remove(index))
            }
        }
    }
}
