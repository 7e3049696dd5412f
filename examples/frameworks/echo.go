package main

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/nusajournal/dermaga/tenancy"
)

// withEcho has the middleware in the group of the tenant's routes, wrapped by echo
// itself. Errors that handlers return become problems in one place.
func withEcho(clients *tenancy.Clients) http.Handler {
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if own, is := err.(*echo.HTTPError); is { // no such route, say
			err = &tenancy.Problem{Status: own.Code, Title: http.StatusText(own.Code)}
		}
		tenancy.WriteError(c.Response(), c.Request(), err)
	}
	e.GET("/health", func(c echo.Context) error { return c.JSON(http.StatusOK, "ok") })
	g := e.Group("/:tenantSlug", echo.WrapMiddleware(clients.Middleware()))
	g.GET("/accounts", func(c echo.Context) error {
		codes, err := accounts(c.Request().Context())
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, codes)
	})
	g.POST("/contacts", func(c echo.Context) error {
		var in contact
		err := (&echo.DefaultBinder{}).BindBody(c, &in)
		if err != nil {
			return notJSON(err)
		}
		if in, err = addContact(c.Request().Context(), in); err != nil {
			return err
		}
		return c.JSON(http.StatusCreated, in)
	})
	return e
}
