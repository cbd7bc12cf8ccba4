"""The extension tool of the private httpd, `mod_wsgi-apxs`."""
