//! Who may read the files.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Its data is private; a folder created by the operator is left as it is.
#[test]
fn a_new_folder_is_for_its_owner_only() {
    let parent = tempfile::tempdir().unwrap();
    let mode = |folder: &Path| std::fs::metadata(folder).unwrap().permissions().mode() & 0o777;
    let made = parent.path().join("made");
    drop(open(&made));
    assert_eq!(mode(&made), 0o700);
    let there = parent.path().join("there");
    std::fs::create_dir(&there).unwrap();
    std::fs::set_permissions(&there, std::fs::Permissions::from_mode(0o750)).unwrap();
    drop(open(&there));
    assert_eq!(mode(&there), 0o750);
}

/// Regardless of the umask; files left open by an earlier version or a copy are restricted at the next start.
#[tokio::test]
async fn all_files_are_for_their_owner_only() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let modes = |folder: &Path| -> Vec<(String, u32)> {
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
        let mode = |file: &std::fs::DirEntry| file.metadata().unwrap().permissions().mode() & 0o777;
        let mut modes: Vec<_> = files.map(|file| (file.file_name().into_string().unwrap(), mode(&file))).collect();
        modes.sort();
        modes
    };
    let closed = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 0o600)).collect::<Vec<_>>();
    let store = open(&folder);
    store.append(PimId(1), vec![event(1, 10)], now()).await.unwrap();
    let all = ["postrider.db", "postrider.db-shm", "postrider.db-wal", "postrider.lock"];
    assert_eq!(modes(&folder), closed(&all));
    // The process crashes: its write-ahead log remains.
    let crashed = parent.path().join("crashed");
    std::fs::create_dir(&crashed).unwrap();
    for name in &all {
        std::fs::copy(folder.join(name), crashed.join(name)).unwrap();
        std::fs::set_permissions(crashed.join(name), std::fs::Permissions::from_mode(0o664)).unwrap();
    }
    let store = open(&crashed);
    assert_eq!(store.read(Scope::Shard(Shard::FIRST), Position(1), ALL).await.unwrap().events.len(), 1);
    assert_eq!(modes(&crashed), closed(&all));
    let copies = parent.path().join("copies");
    std::fs::create_dir(&copies).unwrap();
    store_sqlite::backup(&crashed, &copies).unwrap();
    assert_eq!(modes(&copies), closed(&all[..1]));
}
