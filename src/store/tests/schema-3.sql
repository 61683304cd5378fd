-- A database as brightstat wrote it with schema version 3: two minutes on two interfaces, on both
-- sides of an hour, and events whose text is all that they say. Made with `sqlite3 FILE .dump`. It
-- stays as it is, whatever version the schema has by now: what is in it must never be lost.
PRAGMA page_size = 1024;
PRAGMA application_id = 0x62737461;
PRAGMA user_version = 3;
BEGIN TRANSACTION;
CREATE TABLE tier (
            -- The length of its intervals.
            seconds INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            -- From this time on all rows of the tier are there; -1: it is no longer written.
            kept_since INTEGER NOT NULL
        );
INSERT INTO tier VALUES(60,'minute',0);
INSERT INTO tier VALUES(3600,'hour',0);
CREATE TABLE interface_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
INSERT INTO interface_name VALUES(1,'eth0');
INSERT INTO interface_name VALUES(2,'wlan0');
CREATE TABLE device_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL, mac TEXT UNIQUE);
CREATE TABLE host_mac (
            family INTEGER NOT NULL, high INTEGER NOT NULL, low INTEGER NOT NULL,
            mac TEXT NOT NULL,
            PRIMARY KEY (family, high, low)
        ) WITHOUT ROWID;
INSERT INTO host_mac VALUES(4,0,-1062731520,'02:00:00:00:00:00');
INSERT INTO host_mac VALUES(4,0,-1062731517,'02:00:00:00:00:03');
INSERT INTO host_mac VALUES(4,0,-889163519,'02:00:00:00:00:01');
INSERT INTO host_mac VALUES(6,2306139568115548160,2,'02:00:00:00:00:02');
CREATE TABLE event (
            id INTEGER PRIMARY KEY,
            time INTEGER NOT NULL,
            kind TEXT NOT NULL,
            message TEXT NOT NULL
        , severity INTEGER NOT NULL DEFAULT 6);
INSERT INTO event VALUES(1,1782781140,'started','brightstat 0.1.0 has started',6);
INSERT INTO event VALUES(2,1782781540,'write_failed','the disk is full; make room',3);
INSERT INTO event VALUES(3,1782787540,'history_lost','12 intervals were given up as the disk failed for too long',4);
INSERT INTO event VALUES(4,1782797540,'database_damaged','the database was damaged and is kept as it''s.db.damaged-1',3);
INSERT INTO event VALUES(5,1782807540,'clock_set_back','the clock was 300 s ahead; history has been moved',5);
INSERT INTO event VALUES(6,1782817540,'stopped','brightstat has stopped',6);
CREATE TABLE host (
            id INTEGER PRIMARY KEY,
            -- As in host_mac.
            family INTEGER NOT NULL, high INTEGER NOT NULL, low INTEGER NOT NULL,
            UNIQUE (family, high, low)
        );
INSERT INTO host VALUES(1,4,0,-1062731517);
INSERT INTO host VALUES(2,4,0,-889163519);
CREATE TABLE interface_60 (start INTEGER NOT NULL, interface INTEGER NOT NULL, packets_in INTEGER NOT NULL, bytes_in INTEGER NOT NULL, least_in INTEGER NOT NULL, greatest_in INTEGER NOT NULL, packets_out INTEGER NOT NULL, bytes_out INTEGER NOT NULL, least_out INTEGER NOT NULL, greatest_out INTEGER NOT NULL, packets_internal INTEGER NOT NULL, bytes_internal INTEGER NOT NULL, least_internal INTEGER NOT NULL, greatest_internal INTEGER NOT NULL, packets_transit INTEGER NOT NULL, bytes_transit INTEGER NOT NULL, least_transit INTEGER NOT NULL, greatest_transit INTEGER NOT NULL, packets_none INTEGER NOT NULL, bytes_none INTEGER NOT NULL, least_none INTEGER NOT NULL, greatest_none INTEGER NOT NULL, covered INTEGER NOT NULL, dropped INTEGER NOT NULL, PRIMARY KEY (start, interface))
            WITHOUT ROWID;
INSERT INTO interface_60 VALUES(1782867540,1,0,0,0,0,1,100,1,1,0,0,0,0,0,0,0,0,1,42,0,0,60000,3);
INSERT INTO interface_60 VALUES(1782867540,2,0,0,0,0,1,600,10,10,0,0,0,0,0,0,0,0,0,0,0,0,60000,3);
INSERT INTO interface_60 VALUES(1782867600,1,0,0,0,0,1,100,1,1,0,0,0,0,0,0,0,0,1,42,0,0,60000,3);
INSERT INTO interface_60 VALUES(1782867600,2,0,0,0,0,1,600,10,10,0,0,0,0,0,0,0,0,0,0,0,0,60000,3);
CREATE TABLE traffic_60 (start INTEGER NOT NULL, kind INTEGER NOT NULL, k1 INTEGER NOT NULL DEFAULT 0, k2 INTEGER NOT NULL DEFAULT 0, k3 INTEGER NOT NULL DEFAULT 0, packets_in INTEGER NOT NULL DEFAULT 0, bytes_in INTEGER NOT NULL DEFAULT 0, least_in INTEGER NOT NULL DEFAULT 0, greatest_in INTEGER NOT NULL DEFAULT 0, packets_out INTEGER NOT NULL DEFAULT 0, bytes_out INTEGER NOT NULL DEFAULT 0, least_out INTEGER NOT NULL DEFAULT 0, greatest_out INTEGER NOT NULL DEFAULT 0, extra INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (start, kind, k1, k2, k3)) WITHOUT ROWID;
INSERT INTO traffic_60 VALUES(1782867540,1,-1,0,0,1,42,0,0,1,42,0,0,0);
INSERT INTO traffic_60 VALUES(1782867540,1,4,0,-1062731520,0,0,0,0,1,600,10,10,1);
INSERT INTO traffic_60 VALUES(1782867540,1,4,0,-1062731517,1,100,1,1,0,0,0,0,1);
INSERT INTO traffic_60 VALUES(1782867540,1,4,0,-889163519,1,600,10,10,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867540,1,6,2306139568115548160,2,0,0,0,0,1,100,1,1,0);
INSERT INTO traffic_60 VALUES(1782867540,3,-1,0,0,1,42,0,0,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867540,3,393269,0,0,1,100,1,1,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867540,3,393296,0,0,1,600,10,10,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867540,4,-1,0,0,1,42,0,0,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867540,4,6,0,0,2,700,11,11,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867540,5,1,393269,0,1,100,1,1,0,0,0,0,1);
INSERT INTO traffic_60 VALUES(1782867540,5,2,393296,0,1,600,10,10,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867600,1,-1,0,0,1,42,0,0,1,42,0,0,0);
INSERT INTO traffic_60 VALUES(1782867600,1,4,0,-1062731520,0,0,0,0,1,600,10,10,1);
INSERT INTO traffic_60 VALUES(1782867600,1,4,0,-1062731517,1,100,1,1,0,0,0,0,1);
INSERT INTO traffic_60 VALUES(1782867600,1,4,0,-889163519,1,600,10,10,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867600,1,6,2306139568115548160,2,0,0,0,0,1,100,1,1,0);
INSERT INTO traffic_60 VALUES(1782867600,3,-1,0,0,1,42,0,0,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867600,3,393269,0,0,1,100,1,1,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867600,3,393296,0,0,1,600,10,10,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867600,4,-1,0,0,1,42,0,0,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867600,4,6,0,0,2,700,11,11,0,0,0,0,0);
INSERT INTO traffic_60 VALUES(1782867600,5,1,393269,0,1,100,1,1,0,0,0,0,1);
INSERT INTO traffic_60 VALUES(1782867600,5,2,393296,0,1,600,10,10,0,0,0,0,0);
CREATE TABLE interface_3600 (start INTEGER NOT NULL, interface INTEGER NOT NULL, packets_in INTEGER NOT NULL, bytes_in INTEGER NOT NULL, least_in INTEGER NOT NULL, greatest_in INTEGER NOT NULL, packets_out INTEGER NOT NULL, bytes_out INTEGER NOT NULL, least_out INTEGER NOT NULL, greatest_out INTEGER NOT NULL, packets_internal INTEGER NOT NULL, bytes_internal INTEGER NOT NULL, least_internal INTEGER NOT NULL, greatest_internal INTEGER NOT NULL, packets_transit INTEGER NOT NULL, bytes_transit INTEGER NOT NULL, least_transit INTEGER NOT NULL, greatest_transit INTEGER NOT NULL, packets_none INTEGER NOT NULL, bytes_none INTEGER NOT NULL, least_none INTEGER NOT NULL, greatest_none INTEGER NOT NULL, covered INTEGER NOT NULL, dropped INTEGER NOT NULL, PRIMARY KEY (start, interface))
            WITHOUT ROWID;
INSERT INTO interface_3600 VALUES(1782864000,1,0,0,0,0,1,100,1,1,0,0,0,0,0,0,0,0,1,42,0,0,60000,3);
INSERT INTO interface_3600 VALUES(1782864000,2,0,0,0,0,1,600,10,10,0,0,0,0,0,0,0,0,0,0,0,0,60000,3);
INSERT INTO interface_3600 VALUES(1782867600,1,0,0,0,0,1,100,1,1,0,0,0,0,0,0,0,0,1,42,0,0,60000,3);
INSERT INTO interface_3600 VALUES(1782867600,2,0,0,0,0,1,600,10,10,0,0,0,0,0,0,0,0,0,0,0,0,60000,3);
CREATE TABLE traffic_3600 (start INTEGER NOT NULL, kind INTEGER NOT NULL, k1 INTEGER NOT NULL DEFAULT 0, k2 INTEGER NOT NULL DEFAULT 0, k3 INTEGER NOT NULL DEFAULT 0, packets_in INTEGER NOT NULL DEFAULT 0, bytes_in INTEGER NOT NULL DEFAULT 0, least_in INTEGER NOT NULL DEFAULT 0, greatest_in INTEGER NOT NULL DEFAULT 0, packets_out INTEGER NOT NULL DEFAULT 0, bytes_out INTEGER NOT NULL DEFAULT 0, least_out INTEGER NOT NULL DEFAULT 0, greatest_out INTEGER NOT NULL DEFAULT 0, extra INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (kind, start, k1, k2, k3)) WITHOUT ROWID;
INSERT INTO traffic_3600 VALUES(1782864000,1,-1,0,0,1,42,0,0,1,42,0,0,0);
INSERT INTO traffic_3600 VALUES(1782864000,1,4,0,-1062731520,0,0,0,0,1,600,10,10,1);
INSERT INTO traffic_3600 VALUES(1782864000,1,4,0,-1062731517,1,100,1,1,0,0,0,0,1);
INSERT INTO traffic_3600 VALUES(1782864000,1,4,0,-889163519,1,600,10,10,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782864000,1,6,2306139568115548160,2,0,0,0,0,1,100,1,1,0);
INSERT INTO traffic_3600 VALUES(1782867600,1,-1,0,0,1,42,0,0,1,42,0,0,0);
INSERT INTO traffic_3600 VALUES(1782867600,1,4,0,-1062731520,0,0,0,0,1,600,10,10,1);
INSERT INTO traffic_3600 VALUES(1782867600,1,4,0,-1062731517,1,100,1,1,0,0,0,0,1);
INSERT INTO traffic_3600 VALUES(1782867600,1,4,0,-889163519,1,600,10,10,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782867600,1,6,2306139568115548160,2,0,0,0,0,1,100,1,1,0);
INSERT INTO traffic_3600 VALUES(1782864000,3,-1,0,0,1,42,0,0,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782864000,3,393269,0,0,1,100,1,1,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782864000,3,393296,0,0,1,600,10,10,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782867600,3,-1,0,0,1,42,0,0,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782867600,3,393269,0,0,1,100,1,1,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782867600,3,393296,0,0,1,600,10,10,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782864000,4,-1,0,0,1,42,0,0,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782864000,4,6,0,0,2,700,11,11,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782867600,4,-1,0,0,1,42,0,0,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782867600,4,6,0,0,2,700,11,11,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782864000,5,1,393269,0,1,100,1,1,0,0,0,0,1);
INSERT INTO traffic_3600 VALUES(1782864000,5,2,393296,0,1,600,10,10,0,0,0,0,0);
INSERT INTO traffic_3600 VALUES(1782867600,5,1,393269,0,1,100,1,1,0,0,0,0,1);
INSERT INTO traffic_3600 VALUES(1782867600,5,2,393296,0,1,600,10,10,0,0,0,0,0);
CREATE VIEW v_tier AS SELECT name AS tier, seconds, kept_since FROM tier;
CREATE VIEW v_event AS
            SELECT time, datetime(time, 'unixepoch') AS time_utc, severity, kind, message
            FROM event;
CREATE VIEW v_interface AS SELECT tier, seconds, start, datetime(start, 'unixepoch') AS start_utc, name AS interface, packets_in + packets_out + packets_internal + packets_transit + packets_none AS packets, bytes_in + bytes_out + bytes_internal + bytes_transit + bytes_none AS bytes, packets_in, bytes_in, least_in * 8 AS bits_per_second_min_in, greatest_in * 8 AS bits_per_second_max_in, packets_out, bytes_out, least_out * 8 AS bits_per_second_min_out, greatest_out * 8 AS bits_per_second_max_out, packets_internal, bytes_internal, least_internal * 8 AS bits_per_second_min_internal, greatest_internal * 8 AS bits_per_second_max_internal, packets_transit, bytes_transit, least_transit * 8 AS bits_per_second_min_transit, greatest_transit * 8 AS bits_per_second_max_transit, packets_none, bytes_none, least_none * 8 AS bits_per_second_min_none, greatest_none * 8 AS bits_per_second_max_none, dropped, covered / 1000.0 AS covered_seconds FROM (SELECT 'minute' AS tier, 60 AS seconds, x.start, n.name, dropped, covered, x.packets_in AS packets_in, x.bytes_in AS bytes_in, x.least_in AS least_in, x.greatest_in AS greatest_in, x.packets_out AS packets_out, x.bytes_out AS bytes_out, x.least_out AS least_out, x.greatest_out AS greatest_out, x.packets_internal AS packets_internal, x.bytes_internal AS bytes_internal, x.least_internal AS least_internal, x.greatest_internal AS greatest_internal, x.packets_transit AS packets_transit, x.bytes_transit AS bytes_transit, x.least_transit AS least_transit, x.greatest_transit AS greatest_transit, x.packets_none AS packets_none, x.bytes_none AS bytes_none, x.least_none AS least_none, x.greatest_none AS greatest_none FROM interface_60 x JOIN interface_name n ON n.id = x.interface WHERE 1 UNION ALL SELECT 'hour' AS tier, 3600 AS seconds, x.start, n.name, dropped, covered, x.packets_in AS packets_in, x.bytes_in AS bytes_in, x.least_in AS least_in, x.greatest_in AS greatest_in, x.packets_out AS packets_out, x.bytes_out AS bytes_out, x.least_out AS least_out, x.greatest_out AS greatest_out, x.packets_internal AS packets_internal, x.bytes_internal AS bytes_internal, x.least_internal AS least_internal, x.greatest_internal AS greatest_internal, x.packets_transit AS packets_transit, x.bytes_transit AS bytes_transit, x.least_transit AS least_transit, x.greatest_transit AS greatest_transit, x.packets_none AS packets_none, x.bytes_none AS bytes_none, x.least_none AS least_none, x.greatest_none AS greatest_none FROM interface_3600 x JOIN interface_name n ON n.id = x.interface WHERE 1) x;
CREATE VIEW v_host AS SELECT tier, seconds, start, datetime(start, 'unixepoch') AS start_utc, (WITH g(s) AS (SELECT printf(':%x:%x:%x:%x:%x:%x:%x:%x:',
        (x.k2 >> 48) & 65535, (x.k2 >> 32) & 65535, (x.k2 >> 16) & 65535, x.k2 & 65535,
        (x.k3 >> 48) & 65535, (x.k3 >> 32) & 65535, (x.k3 >> 16) & 65535, x.k3 & 65535)),
    r(run) AS (VALUES (':0:0:0:0:0:0:0:0:'), (':0:0:0:0:0:0:0:'), (':0:0:0:0:0:0:'),
        (':0:0:0:0:0:'), (':0:0:0:0:'), (':0:0:0:'), (':0:0:'))
    SELECT CASE
        WHEN x.k1 = 0 THEN 'other'
        WHEN x.k1 < 0 THEN 'none'
        WHEN x.k1 = 4 THEN printf('%d.%d.%d.%d',
            (x.k3 >> 24) & 255, (x.k3 >> 16) & 255, (x.k3 >> 8) & 255, x.k3 & 255)
        WHEN x.k2 = 0 AND x.k3 >> 32 = 65535 THEN printf('::ffff:%d.%d.%d.%d',
            (x.k3 >> 24) & 255, (x.k3 >> 16) & 255, (x.k3 >> 8) & 255, x.k3 & 255)
        ELSE coalesce(
            (SELECT ltrim(substr(s, 1, instr(s, run) - 1), ':') || '::'
                || rtrim(substr(s, instr(s, run) + length(run)), ':')
             FROM r WHERE instr(s, run) > 0 LIMIT 1),
            trim(s, ':'))
        END FROM g) AS address, mac, CASE WHEN k1 > 0 THEN extra END AS local, packets_in, bytes_in, least_in * 8 AS bits_per_second_min_in, greatest_in * 8 AS bits_per_second_max_in, packets_out, bytes_out, least_out * 8 AS bits_per_second_min_out, greatest_out * 8 AS bits_per_second_max_out FROM (SELECT 'minute' AS tier, 60 AS seconds, x.start, x.k1, x.k2, x.k3, x.extra, n.mac, x.packets_in AS packets_in, x.bytes_in AS bytes_in, x.least_in AS least_in, x.greatest_in AS greatest_in, x.packets_out AS packets_out, x.bytes_out AS bytes_out, x.least_out AS least_out, x.greatest_out AS greatest_out FROM traffic_60 x LEFT JOIN host_mac n ON n.family = x.k1 AND n.high = x.k2 AND n.low = x.k3 WHERE kind = 1 UNION ALL SELECT 'hour' AS tier, 3600 AS seconds, x.start, x.k1, x.k2, x.k3, x.extra, n.mac, x.packets_in AS packets_in, x.bytes_in AS bytes_in, x.least_in AS least_in, x.greatest_in AS greatest_in, x.packets_out AS packets_out, x.bytes_out AS bytes_out, x.least_out AS least_out, x.greatest_out AS greatest_out FROM traffic_3600 x LEFT JOIN host_mac n ON n.family = x.k1 AND n.high = x.k2 AND n.low = x.k3 WHERE kind = 1) x;
CREATE VIEW v_device AS SELECT tier, seconds, start, datetime(start, 'unixepoch') AS start_utc, CASE k1 WHEN 0 THEN 'other' WHEN -1 THEN 'none' ELSE name END AS device, mac, packets_in, bytes_in, least_in * 8 AS bits_per_second_min_in, greatest_in * 8 AS bits_per_second_max_in, packets_out, bytes_out, least_out * 8 AS bits_per_second_min_out, greatest_out * 8 AS bits_per_second_max_out FROM (SELECT 'minute' AS tier, 60 AS seconds, x.start, x.k1, n.name, n.mac, x.packets_in AS packets_in, x.bytes_in AS bytes_in, x.least_in AS least_in, x.greatest_in AS greatest_in, x.packets_out AS packets_out, x.bytes_out AS bytes_out, x.least_out AS least_out, x.greatest_out AS greatest_out FROM traffic_60 x LEFT JOIN device_name n ON n.id = x.k1 WHERE kind = 2 UNION ALL SELECT 'hour' AS tier, 3600 AS seconds, x.start, x.k1, n.name, n.mac, x.packets_in AS packets_in, x.bytes_in AS bytes_in, x.least_in AS least_in, x.greatest_in AS greatest_in, x.packets_out AS packets_out, x.bytes_out AS bytes_out, x.least_out AS least_out, x.greatest_out AS greatest_out FROM traffic_3600 x LEFT JOIN device_name n ON n.id = x.k1 WHERE kind = 2) x;
CREATE VIEW v_port AS SELECT tier, seconds, start, datetime(start, 'unixepoch') AS start_utc, CASE WHEN k1 = 0 THEN 'other' WHEN k1 < 0 THEN 'none' ELSE CASE k1 >> 16 WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp' WHEN 132 THEN 'sctp' END END AS protocol, CASE WHEN k1 > 0 THEN k1 & 65535 END AS port, packets, bytes, least * 8 AS bits_per_second_min, greatest * 8 AS bits_per_second_max FROM (SELECT 'minute' AS tier, 60 AS seconds, x.start, x.k1, x.packets_in AS packets, x.bytes_in AS bytes, x.least_in AS least, x.greatest_in AS greatest FROM traffic_60 x WHERE kind = 3 UNION ALL SELECT 'hour' AS tier, 3600 AS seconds, x.start, x.k1, x.packets_in AS packets, x.bytes_in AS bytes, x.least_in AS least, x.greatest_in AS greatest FROM traffic_3600 x WHERE kind = 3) x;
CREATE VIEW v_protocol AS SELECT tier, seconds, start, datetime(start, 'unixepoch') AS start_utc, CASE k1 WHEN -1 THEN 'none' WHEN 1 THEN 'icmp' WHEN 2 THEN 'igmp' WHEN 4 THEN 'ipip' WHEN 6 THEN 'tcp' WHEN 8 THEN 'egp' WHEN 9 THEN 'igp' WHEN 17 THEN 'udp' WHEN 27 THEN 'rdp' WHEN 33 THEN 'dccp' WHEN 41 THEN 'ipv6' WHEN 46 THEN 'rsvp' WHEN 47 THEN 'gre' WHEN 50 THEN 'esp' WHEN 51 THEN 'ah' WHEN 58 THEN 'icmpv6' WHEN 59 THEN 'ipv6-nonxt' WHEN 88 THEN 'eigrp' WHEN 89 THEN 'ospf' WHEN 94 THEN 'ipip-nos' WHEN 97 THEN 'etherip' WHEN 98 THEN 'encap' WHEN 103 THEN 'pim' WHEN 108 THEN 'ipcomp' WHEN 112 THEN 'vrrp' WHEN 115 THEN 'l2tp' WHEN 124 THEN 'isis' WHEN 132 THEN 'sctp' WHEN 136 THEN 'udplite' WHEN 137 THEN 'mpls-in-ip' WHEN 256 THEN 'unknown' ELSE CAST(k1 AS TEXT) END AS protocol, CASE WHEN k1 BETWEEN 0 AND 255 THEN k1 END AS number, packets, bytes, least * 8 AS bits_per_second_min, greatest * 8 AS bits_per_second_max FROM (SELECT 'minute' AS tier, 60 AS seconds, x.start, x.k1, x.packets_in AS packets, x.bytes_in AS bytes, x.least_in AS least, x.greatest_in AS greatest FROM traffic_60 x WHERE kind = 4 UNION ALL SELECT 'hour' AS tier, 3600 AS seconds, x.start, x.k1, x.packets_in AS packets, x.bytes_in AS bytes, x.least_in AS least, x.greatest_in AS greatest FROM traffic_3600 x WHERE kind = 4) x;
CREATE VIEW v_service AS SELECT tier, seconds, start, datetime(start, 'unixepoch') AS start_utc, (WITH g(s) AS (SELECT printf(':%x:%x:%x:%x:%x:%x:%x:%x:',
        (x.k2 >> 48) & 65535, (x.k2 >> 32) & 65535, (x.k2 >> 16) & 65535, x.k2 & 65535,
        (x.k3 >> 48) & 65535, (x.k3 >> 32) & 65535, (x.k3 >> 16) & 65535, x.k3 & 65535)),
    r(run) AS (VALUES (':0:0:0:0:0:0:0:0:'), (':0:0:0:0:0:0:0:'), (':0:0:0:0:0:0:'),
        (':0:0:0:0:0:'), (':0:0:0:0:'), (':0:0:0:'), (':0:0:'))
    SELECT CASE
        WHEN x.k1 = 0 THEN 'other'
        WHEN x.k1 < 0 THEN 'none'
        WHEN x.k1 = 4 THEN printf('%d.%d.%d.%d',
            (x.k3 >> 24) & 255, (x.k3 >> 16) & 255, (x.k3 >> 8) & 255, x.k3 & 255)
        WHEN x.k2 = 0 AND x.k3 >> 32 = 65535 THEN printf('::ffff:%d.%d.%d.%d',
            (x.k3 >> 24) & 255, (x.k3 >> 16) & 255, (x.k3 >> 8) & 255, x.k3 & 255)
        ELSE coalesce(
            (SELECT ltrim(substr(s, 1, instr(s, run) - 1), ':') || '::'
                || rtrim(substr(s, instr(s, run) + length(run)), ':')
             FROM r WHERE instr(s, run) > 0 LIMIT 1),
            trim(s, ':'))
        END FROM g) AS address, mac, CASE WHEN k1 > 0 THEN extra END AS local, CASE WHEN service IS NULL THEN CASE WHEN k1 < 0 THEN 'none' ELSE 'other' END WHEN service < 0 THEN CASE -1 - service WHEN 1 THEN 'icmp' WHEN 2 THEN 'igmp' WHEN 4 THEN 'ipip' WHEN 6 THEN 'tcp' WHEN 8 THEN 'egp' WHEN 9 THEN 'igp' WHEN 17 THEN 'udp' WHEN 27 THEN 'rdp' WHEN 33 THEN 'dccp' WHEN 41 THEN 'ipv6' WHEN 46 THEN 'rsvp' WHEN 47 THEN 'gre' WHEN 50 THEN 'esp' WHEN 51 THEN 'ah' WHEN 58 THEN 'icmpv6' WHEN 59 THEN 'ipv6-nonxt' WHEN 88 THEN 'eigrp' WHEN 89 THEN 'ospf' WHEN 94 THEN 'ipip-nos' WHEN 97 THEN 'etherip' WHEN 98 THEN 'encap' WHEN 103 THEN 'pim' WHEN 108 THEN 'ipcomp' WHEN 112 THEN 'vrrp' WHEN 115 THEN 'l2tp' WHEN 124 THEN 'isis' WHEN 132 THEN 'sctp' WHEN 136 THEN 'udplite' WHEN 137 THEN 'mpls-in-ip' WHEN 256 THEN 'unknown' ELSE CAST(-1 - service AS TEXT) END ELSE CASE service >> 16 WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp' WHEN 132 THEN 'sctp' END END AS protocol, CASE WHEN service >= 0 THEN service & 65535 END AS port, packets_in, bytes_in, least_in * 8 AS bits_per_second_min_in, greatest_in * 8 AS bits_per_second_max_in, packets_out, bytes_out, least_out * 8 AS bits_per_second_min_out, greatest_out * 8 AS bits_per_second_max_out FROM (SELECT 'minute' AS tier, 60 AS seconds, x.start,
            h.family AS k1, h.high AS k2, h.low AS k3, x.extra, n.mac, x.k2 AS service, x.packets_in AS packets_in, x.bytes_in AS bytes_in, x.least_in AS least_in, x.greatest_in AS greatest_in, x.packets_out AS packets_out, x.bytes_out AS bytes_out, x.least_out AS least_out, x.greatest_out AS greatest_out
         FROM traffic_60 x CROSS JOIN host h ON h.id = x.k1
            LEFT JOIN host_mac n ON n.family = h.family AND n.high = h.high AND n.low = h.low
         WHERE x.kind = 5 UNION ALL SELECT * FROM (
            SELECT 'minute' AS tier, 60 AS seconds, x.start,
                x.k1, x.k2, x.k3, x.extra, n.mac, NULL AS service, x.packets_in - coalesce((SELECT sum(s.packets_in) FROM host h CROSS JOIN traffic_60 s
                WHERE h.family = x.k1 AND h.high = x.k2 AND h.low = x.k3
                    AND s.start = x.start AND s.kind = 5 AND s.k1 = h.id), 0) AS packets_in, x.bytes_in - coalesce((SELECT sum(s.bytes_in) FROM host h CROSS JOIN traffic_60 s
                WHERE h.family = x.k1 AND h.high = x.k2 AND h.low = x.k3
                    AND s.start = x.start AND s.kind = 5 AND s.k1 = h.id), 0) AS bytes_in, NULL AS least_in, NULL AS greatest_in, x.packets_out - coalesce((SELECT sum(s.packets_out) FROM host h CROSS JOIN traffic_60 s
                WHERE h.family = x.k1 AND h.high = x.k2 AND h.low = x.k3
                    AND s.start = x.start AND s.kind = 5 AND s.k1 = h.id), 0) AS packets_out, x.bytes_out - coalesce((SELECT sum(s.bytes_out) FROM host h CROSS JOIN traffic_60 s
                WHERE h.family = x.k1 AND h.high = x.k2 AND h.low = x.k3
                    AND s.start = x.start AND s.kind = 5 AND s.k1 = h.id), 0) AS bytes_out, NULL AS least_out, NULL AS greatest_out
            FROM traffic_60 x
                LEFT JOIN host_mac n ON n.family = x.k1 AND n.high = x.k2 AND n.low = x.k3
            WHERE x.kind = 1)
         WHERE packets_in <> 0 OR packets_out <> 0 UNION ALL SELECT 'hour' AS tier, 3600 AS seconds, x.start,
            h.family AS k1, h.high AS k2, h.low AS k3, x.extra, n.mac, x.k2 AS service, x.packets_in AS packets_in, x.bytes_in AS bytes_in, x.least_in AS least_in, x.greatest_in AS greatest_in, x.packets_out AS packets_out, x.bytes_out AS bytes_out, x.least_out AS least_out, x.greatest_out AS greatest_out
         FROM traffic_3600 x CROSS JOIN host h ON h.id = x.k1
            LEFT JOIN host_mac n ON n.family = h.family AND n.high = h.high AND n.low = h.low
         WHERE x.kind = 5 UNION ALL SELECT * FROM (
            SELECT 'hour' AS tier, 3600 AS seconds, x.start,
                x.k1, x.k2, x.k3, x.extra, n.mac, NULL AS service, x.packets_in - coalesce((SELECT sum(s.packets_in) FROM host h CROSS JOIN traffic_3600 s
                WHERE h.family = x.k1 AND h.high = x.k2 AND h.low = x.k3
                    AND s.start = x.start AND s.kind = 5 AND s.k1 = h.id), 0) AS packets_in, x.bytes_in - coalesce((SELECT sum(s.bytes_in) FROM host h CROSS JOIN traffic_3600 s
                WHERE h.family = x.k1 AND h.high = x.k2 AND h.low = x.k3
                    AND s.start = x.start AND s.kind = 5 AND s.k1 = h.id), 0) AS bytes_in, NULL AS least_in, NULL AS greatest_in, x.packets_out - coalesce((SELECT sum(s.packets_out) FROM host h CROSS JOIN traffic_3600 s
                WHERE h.family = x.k1 AND h.high = x.k2 AND h.low = x.k3
                    AND s.start = x.start AND s.kind = 5 AND s.k1 = h.id), 0) AS packets_out, x.bytes_out - coalesce((SELECT sum(s.bytes_out) FROM host h CROSS JOIN traffic_3600 s
                WHERE h.family = x.k1 AND h.high = x.k2 AND h.low = x.k3
                    AND s.start = x.start AND s.kind = 5 AND s.k1 = h.id), 0) AS bytes_out, NULL AS least_out, NULL AS greatest_out
            FROM traffic_3600 x
                LEFT JOIN host_mac n ON n.family = x.k1 AND n.high = x.k2 AND n.low = x.k3
            WHERE x.kind = 1)
         WHERE packets_in <> 0 OR packets_out <> 0) x;
COMMIT;
