//! What applications are told about requests, and may write to the log at levels
//! of their own.

use super::Instance;

#[test]
fn records_of_the_log_handler_have_levels_of_their_own() {
    let instance = Instance::serving("ask", "LogLevel wsgi:info");
    let code = "import logging\nlogger = logging.getLogger('test')\nlogger.setLevel(1)\nlogger.addHandler(mod_wsgi.LogHandler())\n\
                logger.propagate = False\n\
                for level in (50, 40, 30, 20, 10):\n    logger.log(level, 'record %d', level)\n\
                logger.warning('one\\ntwo')\nanswer = 1\n";
    assert_eq!(instance.ask(code), "1");
    let log = instance.logs("two");
    for (text, level) in [
        ("record 50", "crit"),
        ("record 40", "error"),
        ("record 30", "warn"),
        ("record 20", "info"),
        ("one", "warn"),
        ("two", "warn"),
    ] {
        let line = log
            .lines()
            .find(|line| line.ends_with(text))
            .unwrap_or_else(|| panic!("{text}\n{log}"));
        assert!(line.contains(&format!("[wsgi:{level}]")), "{line}");
    }
    assert!(!log.contains("record 10"), "{log}");
}
