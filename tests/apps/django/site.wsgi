"""Serves the project beside this file, and makes its database on the way."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application


class Static(StaticFilesHandler):
    """Django's own handler of static files, which otherwise wants DEBUG."""

    def serve(self, request):
        from django.contrib.staticfiles.views import serve

        return serve(request, self.file_path(request.path), insecure=True)


application = Static(get_wsgi_application())
call_command("migrate", verbosity=0)

from django.contrib.auth.models import User

User.objects.create_superuser("admin", "admin@example.com", "open sesame")
