package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/nusajournal/dermaga/tenancy"
)

// withGin has the middleware around the engine, since gin's own are of another kind.
// /health is among the paths that it skips.
func withGin(clients *tenancy.Clients) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.GET("/health", func(c *gin.Context) { c.JSON(http.StatusOK, "ok") })
	e.GET("/:tenantSlug/accounts", func(c *gin.Context) {
		codes, err := accounts(c.Request.Context())
		if err != nil {
			tenancy.WriteError(c.Writer, c.Request, err)
			return
		}
		c.JSON(http.StatusOK, codes)
	})
	e.POST("/:tenantSlug/contacts", func(c *gin.Context) {
		var in contact
		err := c.ShouldBindJSON(&in)
		if err != nil {
			tenancy.WriteError(c.Writer, c.Request, notJSON(err))
			return
		}
		if in, err = addContact(c.Request.Context(), in); err != nil {
			tenancy.WriteError(c.Writer, c.Request, err)
			return
		}
		c.JSON(http.StatusCreated, in)
	})
	return clients.Middleware()(e)
}
