DROP TABLE dermaga.api_tokens;
