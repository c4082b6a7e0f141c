-- One row for each zone and country, with the region and the place in degrees.
SELECT
    unnest(string_split(codes, ',')) AS code,
    zone,
    split_part(zone, '/', 1) AS region,
    CASE WHEN length(coordinates) <= 11
        THEN substr(coordinates, 1, 3)::DOUBLE + sign(substr(coordinates, 1, 3)::DOUBLE) * substr(coordinates, 4, 2)::DOUBLE / 60
        ELSE substr(coordinates, 1, 3)::DOUBLE + sign(substr(coordinates, 1, 3)::DOUBLE)
             * (substr(coordinates, 4, 2)::DOUBLE / 60 + substr(coordinates, 6, 2)::DOUBLE / 3600)
    END AS latitude,
    comments
FROM raw.zones
