-- Time zones since 1970, with the countries that keep them.
SELECT codes, coordinates, zone, comments
FROM read_csv('data/zone1970.tab', auto_detect = false, delim = '\t', quote = '', header = false, null_padding = true,
              columns = {'codes': 'VARCHAR', 'coordinates': 'VARCHAR', 'zone': 'VARCHAR', 'comments': 'VARCHAR'})
