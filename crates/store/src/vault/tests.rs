//! Sealing and opening, and every way in which opening must fail.

use std::fs;

use super::*;

fn key(id: &str) -> MasterKey {
    MasterKey::random(id).unwrap()
}

#[test]
fn sealed_values_open_for_their_owner_only() {
    let vault = Vault::new(key("a"), []).unwrap();
    let sealed = vault.seal(b"open sesame", "subscription 1", "tenant").unwrap();
    assert!(!sealed.windows(4).any(|window| window == b"open"));
    assert_eq!(vault.open(&sealed, "subscription 1", "tenant").unwrap(), b"open sesame");
    assert!(matches!(vault.open(&sealed, "subscription 2", "tenant"), Err(VaultError::WrongKey { .. })));
    assert!(matches!(vault.open(&sealed, "subscription 1", "another"), Err(VaultError::WrongKey { .. })));
    assert_ne!(sealed, vault.seal(b"open sesame", "subscription 1", "tenant").unwrap());
}

#[test]
fn values_of_before_owners_were_bound_open_and_are_not_current() {
    let vault = Vault::new(key("a"), []).unwrap();
    let mut sealed = vault.seal_as(OF_ROW, b"open sesame", "subscription 1", "").unwrap();
    assert_eq!(vault.open(&sealed, "subscription 1", "tenant").unwrap(), b"open sesame");
    assert!(vault.open(&sealed, "subscription 2", "tenant").is_err());
    assert!(!vault.is_current(&sealed, "subscription 1").unwrap());
    // Neither passes for the other.
    sealed[0] = OF_OWNER;
    assert!(vault.open(&sealed, "subscription 1", "").is_err());
    let mut sealed = vault.seal(b"open sesame", "subscription 1", "tenant").unwrap();
    sealed[0] = OF_ROW;
    assert!(vault.open(&sealed, "subscription 1", "tenant").is_err());
}

#[test]
fn a_changed_byte_does_not_open() {
    let vault = Vault::new(key("a"), []).unwrap();
    let sealed = vault.seal(b"secret", "pim 1", "tenant").unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(vault.open(&changed, "pim 1", "tenant").is_err(), "byte {at}");
        assert!(vault.open(&sealed[..at], "pim 1", "tenant").is_err(), "cut at {at}");
    }
}

#[test]
fn older_keys_open_and_missing_ones_are_named() {
    let (old, new) = (key("2025"), key("2026"));
    let sealed = Vault::new(old.clone(), []).unwrap().seal(b"x", "pim 1", "tenant").unwrap();
    let both = Vault::new(new.clone(), [old]).unwrap();
    assert_eq!(both.open(&sealed, "pim 1", "tenant").unwrap(), b"x");
    assert_eq!(both.current_key_id(), "2026");
    assert!(!both.is_current(&sealed, "pim 1").unwrap());
    assert!(both.is_current(&both.seal(b"x", "pim 1", "tenant").unwrap(), "pim 1").unwrap());
    let error = Vault::new(new, []).unwrap().check(&sealed, "pim 1").unwrap_err();
    assert!(error.to_string().contains("\"2025\"") && error.to_string().contains("(2026)"), "{error}");
}

#[test]
fn another_key_under_the_same_id_is_distinguished() {
    let sealed = Vault::new(key("a"), []).unwrap().seal(b"x", "pim 1", "tenant").unwrap();
    let error = Vault::new(key("a"), []).unwrap().open(&sealed, "pim 1", "tenant").unwrap_err();
    assert!(matches!(error, VaultError::WrongKey { .. }));
    assert!(matches!(Vault::new(key("a"), [key("a")]), Err(VaultError::Ambiguous(id)) if id == "a"));
}

#[test]
fn keys_from_a_configuration() {
    let check = |text: &str, expect: &str| {
        let error = MasterKey::from_base64("k", text).unwrap_err().to_string();
        assert!(error.contains(expect) && !error.contains(text), "{error}");
    };
    check("no base64!", "is not base64");
    check("c2hvcnQ=", "has 5 bytes; it must have 32");
    let made = key("k");
    assert_eq!(MasterKey::from_base64("k", &made.expose_base64()).unwrap(), made);
    assert!(MasterKey::from_base64("k", made.expose_base64().trim_end_matches('=')).is_ok());
    assert!(matches!(MasterKey::random("two words"), Err(MasterKeyError::Id(_))));
    assert_eq!(format!("{made:?}"), "MasterKey(k)");
}

#[test]
fn a_key_file_is_made_once_and_only_for_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let vault = open_key_file(&path, false).unwrap();
    let sealed = vault.seal(b"x", "pim 1", "tenant").unwrap();
    assert_eq!(open_key_file(&path, false).unwrap().open(&sealed, "pim 1", "tenant").unwrap(), b"x");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = open_key_file(&path, false).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && error.contains("mode 640"), "{error}");
        assert!(open_key_file(&path, true).is_ok(), "where the operator says so, the group may read it");
        for exposed in [0o644, 0o660, 0o641] {
            fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
            assert!(open_key_file(&path, true).is_err(), "mode {exposed:o}");
        }
    }
}

#[test]
fn a_wrong_key_file_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str, expect: &str| {
        let path = folder.path().join("master.key");
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let error = open_key_file(&path, false).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check("# nothing\n", "there is no key in it");
    check("# first\nonly-an-id\n", "line 2: a line is an id");
    check("k c2hvcnQ=\n", "line 1: the master key \"k\" has 5 bytes");
}
