//! Whether an acknowledged event survives the loss of the primary: what the server's settings say.

use crate::failure::Failure;
use crate::inner::Inner;
use crate::lines::PLATFORM;

/// What the server would lose, with what to set; `None` if nothing.
pub(crate) async fn look(inner: &Inner) -> Result<Option<String>, Failure> {
    let line = inner.readers.line(PLATFORM).await?;
    let sql = "SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit'), \
               current_setting('fsync')";
    let rows = line.query(sql, &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let text = |column: usize| row.get::<_, String>(column);
    let (standbys, commit) = (text(0), text(1));
    let problem = if text(2) == "off" {
        "fsync is off: a crash of the server loses acknowledged events and may damage the database; set fsync = on"
            .to_owned()
    } else if matches!(commit.as_str(), "off" | "local") {
        format!(
            "synchronous_commit is {commit}: a failover loses acknowledged events; set synchronous_commit = on for the \
             platform's user or database"
        )
    } else if standbys.is_empty() {
        "there is no synchronous standby: if the server is lost with its disk, or replaced by an asynchronous standby, \
         acknowledged events are lost; set synchronous_standby_names"
            .to_owned()
    } else {
        return Ok(None);
    };
    Ok(Some(problem))
}
