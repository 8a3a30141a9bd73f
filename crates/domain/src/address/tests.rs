//! Every notation and every network, once each.

use super::*;

fn policy(allow: &[&str]) -> AddressPolicy {
    AddressPolicy::allowing(allow.iter().map(|network| network.parse().unwrap()).collect())
}

/// The error's text, or "ok".
fn check(host: &str, allow: &[&str], expect: &str) {
    let said = policy(allow).check_host_literal(host).map_or_else(|forbidden| forbidden.to_string(), |()| "ok".into());
    assert_eq!(said, expect, "{host} with {allow:?} allowed");
}

#[test]
fn a_refusal_names_the_address_and_its_network() {
    check("127.0.0.1", &[], "127.0.0.1 is a loopback address (127.0.0.0/8)");
    check("2130706433", &[], "2130706433 is 127.0.0.1, a loopback address (127.0.0.0/8)");
    check("::ffff:127.0.0.1", &[], "::ffff:127.0.0.1 is 127.0.0.1, a loopback address (127.0.0.0/8)");
    check("localhost", &[], "localhost is 127.0.0.1, a loopback address (127.0.0.0/8)");
    check("169.254.169.254", &[], "169.254.169.254 is a cloud metadata address (169.254.169.254/32)");
}

#[test]
fn loopback_is_refused_in_any_notation() {
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "127.255.255.254",
        "2130706433",
        "0x7f000001",
        "0X7F000001",
        "017700000001",
        "0177.0.0.1",
        "0177.1",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0x7F.0.1",
        "0177.0x0.1",
        "127.00.00.01",
        "00000000177.1",
        "127.0x1",
        "127.0.0.0x",
        "127.0.0.1%2e",
        "%31%32%37.0.0.1",
        "127%2E0%2e0%2E1",
        "１２７.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "::1",
        "[::1]",
        "0:0:0:0:0:0:0:1",
        "::0001",
        "[::1%25lo]",
        "::1%lo",
        "::ffff:127.0.0.1",
        "[::ffff:7f00:1]",
        "::FFFF:7F00:1",
        "0:0:0:0:0:ffff:127.0.0.1",
        "::127.0.0.1",
        "::7f00:1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::1",
        "::ffff:0:127.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "api.localhost",
        "a.b.LocalHost.",
        "%6cocalhost",
        "ｌocalhost",
    ] {
        assert!(policy(&[]).check_host_literal(host).is_err(), "{host} passed");
    }
}

#[test]
fn every_network_is_refused_from_its_first_to_its_last_address() {
    for rule in networks::RULES.iter() {
        for address in [rule.network.network(), rule.network.broadcast()] {
            assert!(policy(&[]).permits(address).is_err(), "{address} of {} passed", rule.network);
        }
    }
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "169.254.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "::",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "fdff::1",
        "ff02::1",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "5f00::1",
        "2002:808:808::1",
        "64:ff9b:1::8.8.8.8",
        "2001::8.8.8.8",
        "::8.8.8.8",
        "::ffff:10.0.0.1",
        "4000::1",
        "e000::1",
        "1234::1",
    ] {
        assert!(policy(&[]).permits(address.parse().unwrap()).is_err(), "{address} passed");
    }
}

#[test]
fn a_leading_zero_is_judged_both_as_octal_and_as_nothing() {
    check("012.1.1.1", &[], "012.1.1.1 is 10.1.1.1, a private address (10.0.0.0/8)");
    check("010.1.1.1", &[], "010.1.1.1 is 10.1.1.1, a private address (10.0.0.0/8)");
    assert_eq!(address_literal("010.1.1.1"), Some(IpAddr::from([8, 1, 1, 1])));
    assert_eq!(address_literal("08.1.1.1"), Some(IpAddr::from([8, 1, 1, 1])));
}

#[test]
fn public_addresses_and_names_pass() {
    for host in [
        "8.8.8.8",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "[2a00:1450:4001::1]",
        "2003::1",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "example.com",
        "EXAMPLE.com.",
        "localhost.example.com",
        "mylocalhost",
        "notlocalhost.",
        "127.0.0.1.example.com",
        "0x7f.example",
        "a.127",
        "127.0.0.0.1",
        "127..1",
        "+127.1",
        "127.0.0.256",
        "4294967296",
        "1e3.com",
        "xn--bcher-kva.example",
        "bücher.example",
        "",
        ".",
        "%",
        "%zz",
    ] {
        check(host, &[], "ok");
    }
}

#[test]
fn allowed_networks_are_permitted_in_any_notation() {
    for host in ["127.0.0.1", "127.1", "::ffff:127.0.0.1", "localhost", "x.localhost."] {
        check(host, &["127.0.0.0/8"], "ok");
        check(host, &["::ffff:127.0.0.0/104"], "ok");
    }
    check("127.0.0.2", &["127.0.0.1/32"], "127.0.0.2 is a loopback address (127.0.0.0/8)");
    check("::1", &["127.0.0.0/8"], "::1 is a loopback address (::1/128)");
    check("localhost", &["::1/128"], "ok");
    check("127.0.0.1", &["::/0"], "127.0.0.1 is a loopback address (127.0.0.0/8)");
    check("10.1.2.3", &["fd00::/8", "10.1.0.0/16"], "ok");
}

#[test]
fn translated_addresses_are_checked_by_the_embedded_one() {
    check("64:ff9b::8.8.8.8", &[], "ok");
    let loopback = "64:ff9b::7f00:1 is the NAT64 form of 127.0.0.1, a loopback address (127.0.0.0/8)";
    for allow in [&[][..], &["127.0.0.0/8"], &["64:ff9b::/96"], &["::/0", "0.0.0.0/0"]] {
        check("64:ff9b::7f00:1", allow, loopback);
    }
    check(
        "64:ff9b::a9fe:a9fe",
        &["::/0"],
        "64:ff9b::a9fe:a9fe is the NAT64 form of 169.254.169.254, a cloud metadata address (169.254.169.254/32)",
    );
    // Other prefixes belong to translators only if configured.
    check("64:ff9b:1::8.8.8.8", &[], "64:ff9b:1::8.8.8.8 is a NAT64 address (64:ff9b:1::/48)");
    let named = AddressPolicy { nat64_prefixes: vec!["64:ff9b:1::/96".parse().unwrap()], ..policy(&["::/0"]) };
    assert_eq!(named.permits("64:ff9b:1::808:808".parse().unwrap()), Ok(()));
    assert!(named.permits("64:ff9b:1::a00:1".parse().unwrap()).is_err());
    assert_eq!(named.permits("64:ff9b:2::a00:1".parse().unwrap()), Ok(()));
}

#[test]
fn localhost_has_the_addresses_that_are_permitted() {
    let v4 = IpAddr::from([127, 0, 0, 1]);
    assert_eq!(policy(&["127.0.0.0/8"]).localhost(), Ok(vec![v4]));
    assert_eq!(policy(&["127.0.0.0/8", "::1/128"]).localhost(), Ok(vec![v4, Ipv6Addr::LOCALHOST.into()]));
    assert!(policy(&[]).localhost().is_err());
}
