"""One module a page; `dashboards.site` lists them."""
