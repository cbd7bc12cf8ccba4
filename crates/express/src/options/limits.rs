//! Options that say how long and how large things may be.

use clap::Args;

use super::number;

/// Limits and timeouts, in seconds unless said.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits and timeouts")]
pub struct Limits {
    /// Largest request body, in bytes.
    #[arg(long, value_name = "NUMBER", default_value = "10485760", value_parser = number::whole())]
    pub limit_request_body: u32,
    /// Replace a process after so many requests; 0, never.
    #[arg(long, value_name = "NUMBER", default_value = "0", value_parser = number::whole())]
    pub maximum_requests: u32,
    /// Replace a process whose application has not loaded after so long.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = number::whole())]
    pub startup_timeout: u32,
    /// How long a process that ends may take before it is killed.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = number::whole())]
    pub shutdown_timeout: u32,
    /// Replace a process after so long; 0, never.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = number::whole())]
    pub restart_interval: u32,
    /// Replace a process after so much processor time; 0, never.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = number::whole())]
    pub cpu_time_limit: u32,
    /// How long a process that is to be replaced waits for its requests.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = number::whole())]
    pub graceful_timeout: u32,
    /// How long a process that is evicted by SIGUSR1 waits for its requests; 0, as
    /// --graceful-timeout says.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = number::whole())]
    pub eviction_timeout: u32,
    /// Kill a process in which no thread has got Python's lock for so long.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = number::whole())]
    pub deadlock_timeout: u32,
    /// Replace a process that has been idle for so long; 0, never.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = number::whole())]
    pub inactivity_timeout: u32,
    /// URL path whose requests do not count as activity. May be repeated.
    #[arg(long, value_name = "URL-PATH")]
    pub ignore_activity: Vec<String>,
    /// Replace a process whose requests take so long.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = number::whole())]
    pub request_timeout: u32,
    /// How long a request that has timed out gets to end by an exception; 0, none is
    /// raised.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = number::whole())]
    pub interrupt_timeout: u32,
    /// How long httpd tries to reach a daemon process.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = number::whole())]
    pub connect_timeout: u32,
    /// How long a connection may be silent while a request is served.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = number::whole())]
    pub socket_timeout: u32,
    /// How long a server behind us may take. Unset, as --socket-timeout says.
    #[arg(long, value_name = "SECONDS", value_parser = number::whole())]
    pub proxy_timeout: Option<u32>,
    /// Answer 504 to a request that has waited so long for a thread.
    #[arg(long, value_name = "SECONDS", default_value = "45", value_parser = number::whole())]
    pub queue_timeout: u32,
    /// How long a client may take for the headers of a request; 0, no limit.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = number::whole())]
    pub header_timeout: u32,
    /// The same for one that keeps sending.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = number::whole())]
    pub header_max_timeout: u32,
    /// Bytes a second that a client must send to get more time for headers.
    #[arg(long, value_name = "BYTES", default_value = "500", value_parser = number::whole())]
    pub header_min_rate: u32,
    /// How long a client may take for the body of a request; 0, no limit.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = number::whole())]
    pub body_timeout: u32,
    /// The same for one that keeps sending; 0, no limit.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = number::whole())]
    pub body_max_timeout: u32,
    /// Bytes a second that a client must send to get more time for a body.
    #[arg(long, value_name = "BYTES", default_value = "500", value_parser = number::whole())]
    pub body_min_rate: u32,
    /// How long a connection is kept for the next request; 0, not at all.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = number::whole())]
    pub keep_alive_timeout: u32,
}

/// Buffers, queues and what is sent through them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Buffers and queues")]
pub struct Buffers {
    /// Connections that may wait for httpd.
    #[arg(long, value_name = "NUMBER", default_value = "500", value_parser = number::whole())]
    pub server_backlog: u32,
    /// Connections that may wait for a daemon process.
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = number::whole())]
    pub daemon_backlog: u32,
    /// Bytes that the system buffers on the way to a daemon process; 0, its default.
    #[arg(long, value_name = "NUMBER", default_value = "0", value_parser = number::size(512))]
    pub send_buffer_size: u32,
    /// Bytes that the system buffers on the way back; 0, its default.
    #[arg(long, value_name = "NUMBER", default_value = "0", value_parser = number::size(512))]
    pub receive_buffer_size: u32,
    /// Most bytes of response headers; 0, 32768.
    #[arg(long, value_name = "NUMBER", default_value = "0", value_parser = number::size(8192))]
    pub header_buffer_size: u32,
    /// Most bytes of a response that are held for a slow client; 0, the default.
    #[arg(long, value_name = "NUMBER", default_value = "0", value_parser = number::size(65536))]
    pub response_buffer_size: u32,
    /// How long a client may take nothing of a response; 0, as --socket-timeout says.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = number::whole())]
    pub response_socket_timeout: u32,
    /// Milliseconds that parts of a response are gathered for before they are sent.
    #[arg(long, value_name = "MILLISECONDS", default_value = "5", value_parser = number::whole())]
    pub response_flush_delay: u32,
    /// Let the system send files.
    #[arg(long)]
    pub enable_sendfile: bool,
    /// Accept requests whose length is not known at their start.
    #[arg(long)]
    pub chunked_request: bool,
    /// Whether applications see GET for HEAD.
    #[arg(long, value_name = "OFF|ON|AUTO", default_value = "Auto", ignore_case = true,
          value_parser = ["Off", "On", "Auto"])]
    pub map_head_to_get: String,
    /// Compress text.
    #[arg(long)]
    pub compress_responses: bool,
}
