import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.net.URI;
import java.sql.SQLException;

public class Connect {
  public static void main(String[] args) throws Exception {
    URI url = URI.create(System.getenv("DATABASE_URL"));
    String[] login = url.getUserInfo().split(":");
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl("jdbc:postgresql://" + url.getAuthority().split("@")[1] + url.getPath());
    config.setUsername(login[0]);
    config.setPassword(login[1]);
    config.addDataSourceProperty("sslmode", "verify-full");
    config.addDataSourceProperty("sslrootcert", System.getenv("CA_FILE"));
    config.setMaximumPoolSize(4);
    config.setMinimumIdle(0);

    try (var pool = new HikariDataSource(config)) {
      try (var conn = pool.getConnection()) {
        System.out.println("1 connected over TLS");

        try (var account = conn.prepareStatement("SELECT name_id FROM accounts WHERE code = ?")) {
          for (int i = 0; i < 10; i++) { // prepared on the server at the fifth time
            account.setString(1, "1-1000");
            account.executeQuery().close();
          }
        }
        System.out.println("2 prepared a statement, ran it several times: by default");

        conn.setAutoCommit(false);
        try (var s = conn.createStatement()) {
          s.executeUpdate("INSERT INTO contacts (kind, name) VALUES ('CUSTOMER', 'jdbc')");
          conn.commit();
          s.executeUpdate("DELETE FROM contacts WHERE name = 'jdbc'");
          conn.rollback();
          int deleted = s.executeUpdate("DELETE FROM contacts WHERE name = 'jdbc'");
          conn.commit();
          if (deleted != 1) throw new IllegalStateException(deleted + " contacts instead of one");
        }
        System.out.println("3 committed one transaction, rolled another back");

        // Needs both: no autocommit, and a fetch size. Else the whole answer is kept.
        try (var s = conn.createStatement()) {
          s.setFetchSize(1000);
          int rows = 0;
          try (var numbers = s.executeQuery("SELECT n, repeat('x', 1000) FROM generate_series(1, 100000) n")) {
            while (numbers.next()) rows++;
          }
          System.out.println("4 streamed " + rows + " rows: setFetchSize");
        }
        conn.commit();
        conn.setAutoCommit(true);

        try (var s = conn.createStatement()) {
          s.setQueryTimeout(1); // seconds; then the driver sends a cancel request
          s.execute("SELECT pg_sleep(60)");
        } catch (SQLException e) {
          if (!"57014".equals(e.getSQLState())) throw e;
          conn.createStatement().execute("SELECT 1");
          System.out.println("5 cancelled, and the connection goes on: setQueryTimeout");
        }
      }

      try (var conn = pool.getConnection(); var s = conn.createStatement()) {
        s.execute("SELECT pg_terminate_backend(pg_backend_pid())");
      } catch (SQLException e) {
        if (!"57P01".equals(e.getSQLState())) throw e;
      }
      try (var conn = pool.getConnection(); var s = conn.createStatement()) {
        s.execute("SELECT 1");
        System.out.println("6 reconnected after the session was ended: HikariCP");
      }
    }
  }
}
