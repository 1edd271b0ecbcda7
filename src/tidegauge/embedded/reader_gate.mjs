export class ReaderGate {
  constructor(statements) { this.statements = statements; }
  classify() { return { refusal: { code: '42501', message: 'not yet' } }; }
  startupSettings() { return new Map(); }
}
