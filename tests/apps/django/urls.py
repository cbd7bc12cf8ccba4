"""The pages of the project."""

import hashlib

from django.contrib import admin
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path


def upload(request):
    """Large files come by way of a temporary file, small ones from memory."""
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    kind = type(file).__name__
    return HttpResponse(f"{kind} {file.size} {digest.hexdigest()}", content_type="text/plain")


def stream(request):
    lines = (f"line {number}\n" for number in range(1000))
    return StreamingHttpResponse(lines, content_type="text/plain")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("upload/", upload),
    path("stream/", stream),
]
