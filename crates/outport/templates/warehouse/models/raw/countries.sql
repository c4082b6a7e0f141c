-- Country codes of ISO 3166, as the time zone database has them.
SELECT code, country
FROM read_csv('data/iso3166.tab', delim = '\t', header = false, nullstr = '',
              columns = {'code': 'VARCHAR', 'country': 'VARCHAR'})
