"""The private httpd as Python packages, under the names that others look for.

`mod_wsgi_packages.httpd` is its prefix, `mod_wsgi_packages.apxs` what asks it.
"""
