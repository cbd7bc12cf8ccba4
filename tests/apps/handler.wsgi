"""A handler script: it answers for resources that are not scripts."""


def handle_request(environ, start_response):
    start_response("200 OK", [])
    names = ["request_handler", "handler_script", "callable_object", "application_group"]
    lines = [environ["mod_wsgi." + name] for name in names]
    lines += [environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["SCRIPT_FILENAME"]]
    lines.append(environ.get("HTTP_AUTHORIZATION", "none"))
    return ["\n".join(lines).encode()]
