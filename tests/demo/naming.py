"""A name that would do harm, were it taken for HTML, a template or a format."""

HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{3*3}}"
