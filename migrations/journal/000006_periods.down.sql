-- The extension stays: it does no harm, and something else may use it by now.
DROP TABLE periods;
