package privatepg

import (
	"context"
	"errors"
	"log/slog"
)

const archiveMajor = 18

func fetchArchive(ctx context.Context, log *slog.Logger) (string, error) {
	return "", errors.New("not yet")
}
