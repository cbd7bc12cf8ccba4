"""Has the agent of New Relic watch an application, where that package is installed."""

from __future__ import annotations

import os

from mod_wsgi.express.layer import Application
from mod_wsgi.express.log import say


def instrumented(
    application: Application,
    config_file: str | None,
    environment: str | None,
) -> Application:
    """The application as the agent wraps it; itself where there is no agent."""
    if config_file:
        os.environ["NEW_RELIC_CONFIG_FILE"] = config_file
    if environment:
        os.environ["NEW_RELIC_ENVIRONMENT"] = environment
    try:
        import newrelic.agent as agent
    except ImportError as error:
        say(f"--with-newrelic-agent is without effect: {error}")
        return application
    # Standard error is the server's log, unless somebody has named another.
    os.environ.setdefault("NEW_RELIC_LOG", "stderr")
    agent.initialize(config_file or None, environment or None)
    agent.register_application()
    return agent.WSGIApplicationWrapper(application)
